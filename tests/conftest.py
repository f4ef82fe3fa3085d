# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests. They need root, and work in network namespaces of their own."""
import os
import random
import signal

import pytest

import evblib
import qemu_vm

TEST_SECONDS = int(os.environ.get("EVB_TEST_SECONDS", "120"))  # a hung test is a failed test
SEED = int(os.environ.get("EVB_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


def pytest_report_header():
    return f"evbd: {evblib.EVBD}  EVB_SEED={SEED}"


def pytest_sessionstart():
    evblib.remove_leftovers()


def pytest_collection_modifyitems(items):
    if items and os.geteuid() != 0:
        raise pytest.UsageError("system tests need root (network namespaces)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.call_failed = report.failed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    def too_long(_signo, _frame):
        raise AssertionError(f"took more than {TEST_SECONDS} s")
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def rng():
    return random.Random(SEED)


@pytest.fixture
def net(request):
    """Namespaces, devices and daemons of one test; when it ends, daemons must leave nothing."""
    n = evblib.Net()
    try:
        yield n
    finally:
        n.close(failed=getattr(request.node, "call_failed", True))


@pytest.fixture(scope="session")
def vm_dir():
    """Folder of the guests' kernel and its modules."""
    path, why = qemu_vm.find_kernel()
    if not path:
        pytest.skip(why)
    return path


@pytest.fixture(scope="session")
def initramfs(vm_dir, tmp_path_factory):
    """What guests at vhost-user ports boot into."""
    path = str(tmp_path_factory.mktemp("vm") / "initramfs")
    qemu_vm.vm.make_initramfs(str(vm_dir), path, qemu_vm.PROGRAMS)
    return path
