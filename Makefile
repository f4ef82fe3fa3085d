# SPDX-License-Identifier: Apache-2.0
# Front of meson. Every target first sees to the Debian packages it needs (scripts/install-deps).
#
#   make                   build into build/
#   make test              unit tests, then system tests in network namespaces (root)
#   make demo [VM=1]       what a VEPA is, shown in network namespaces, or with QEMU guests (root)
#   make bench             measure
#   make fuzz [SECONDS=n]  each fuzzer for n seconds (60), those of guests' memory for 4n
#   make check             format, lint, limits, layers, manuals
#   make format            let clang-format decide
#   make install           into DESTDIR and PREFIX (/usr/local)
#   make ci                all that a change has to pass
#   make clean

BUILD ?= build
PREFIX ?= /usr/local
SECONDS ?= 60
VM ?=
# Debian's own tools: others of the same name may come first in PATH.
MESON := /usr/bin/meson
PYTHON := /usr/bin/python3

.PHONY: all test demo bench fuzz check format install ci clean

all:
	@scripts/install-deps build
	@test -f $(BUILD)/build.ninja || $(MESON) setup $(BUILD) --prefix=$(PREFIX)
	@ninja -C $(BUILD)

test: all
	@scripts/install-deps test
	@scripts/test $(BUILD)

demo: all
	@scripts/install-deps demo $(if $(VM),vm)
	@$(if $(VM),scripts/vm-kernel $(BUILD)/vm)
	@EVB_BUILD=$(BUILD) $(PYTHON) demo/demo.py $(if $(VM),--vm)

bench: all
	@scripts/install-deps bench
	@bench/run $(BUILD)

fuzz:
	@scripts/install-deps build fuzz
	@scripts/fuzz $(BUILD)-fuzz $(SECONDS)

check:
	@scripts/install-deps build check
	@scripts/check/all

format:
	@scripts/install-deps check
	@scripts/check/format --fix

install: all
	@DESTDIR="$(DESTDIR)" $(MESON) install -C $(BUILD) --no-rebuild

ci:
	@.ci/run

clean:
	rm -rf $(BUILD) $(BUILD)-*
