# SPDX-License-Identifier: Apache-2.0
"""evbd on Linux 6.1, inside a QEMU guest: what the kernel of the tests lacks, or has newer.

There XDP programs can be dispatched (libxdp), which not every kernel allows; TCX does not exist
yet, so that host ports are clsact filters; and the NIC is virtio-net. One guest serves all tests.
"""
import glob
import json
import re
import shutil

import pytest

from evblib import EVB, EVBD, Net, run
from qemu_vm import VhostVm, shared_memory, vm

DRIVERS = (*vm.DRIVERS, "veth", "tun", "cls_bpf", "sch_ingress")
PROGRAMS = ("ip", "tc", "bpftool", "xdp-loader")
INCLUDE = "/usr/include/x86_64-linux-gnu"  # where Debian keeps asm/types.h
OUT, G1, HOST = "10.0.0.100", "10.0.0.1", "10.0.0.50"
NIC_MAC = "52:54:00:00:61:01"

# A filter of somebody else, which counts what it sees.
FOREIGN = """
#include <linux/bpf.h>
struct { int (*type)[2]; int (*max_entries)[1]; int *key; long *value; } seen
	__attribute__((section(".maps"), used));
static void *(*look)(void *, const void *) = (void *)1;
__attribute__((section("xdp"), used)) int firewall(struct xdp_md *ctx)
{
	int key = 0;
	long *n = look(&seen, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 2;
}
char gpl[] __attribute__((section("license"), used)) = "GPL";
"""


class Linux61:
    """The guest, with a host of its own: evbd, a tap guest `g1` and a station `out` on a veth."""

    def __init__(self, net, vm_dir, path):
        source, program = path / "foreign.c", path / "foreign.o"
        source.write_text(FOREIGN)
        run(["clang", "-O2", "-g", "-target", "bpf", "-idirafter", INCLUDE, "-c", source,
             "-o", program])
        files = [*glob.glob("/usr/lib/*/bpf/xdp-dispatcher.o"), str(program)]
        names = [shutil.which(p, path="/usr/sbin:/sbin:/usr/bin:/bin") for p in PROGRAMS]
        vm.make_initramfs(str(vm_dir), str(path / "initramfs"), [*names, str(EVBD), str(EVB)],
                          DRIVERS, files)
        self.foreign = program
        self.ns = net.ns("vm")
        self.ns.ip("tuntap add nic mode tap", "link set nic up", "addr add 10.1.0.1/24 dev nic")
        self.vm = VhostVm(net, self.ns, "linux61", 61, [], shared_memory("256M"))
        self.vm.boot(vm_dir, str(path / "initramfs"), [
            "-netdev", "tap,id=n0,ifname=nic,script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=n0,mac={NIC_MAC},romfile="])
        self.vm.wait_ready()
        self.must("mkdir -p /run && mount -t tmpfs run /run && mount -t bpf bpf /sys/fs/bpf")

    def run(self, command):
        """As VhostVm.run(), with ip of iproute2: busybox prefers its own to those in /bin."""
        return self.vm.run('ip() { /bin/ip "$@"; }; tc() { /bin/tc "$@"; }; ' + command)

    def must(self, command):
        code, out = self.run(command)
        assert code == 0, f"{command}: exit {code}\n{out}\n{self.run('cat /tmp/evbd.log')[1]}"
        return out

    def prepare(self, *config):
        """New devices and namespaces; evbd with one guest, and what `config` says."""
        self.must("for n in out g1; do ip netns add $n; ip -n $n link set lo up; done; "
                  "ip link add up0 type veth peer name eth0 netns out; ip link set up0 up; "
                  f"ip addr add {HOST}/24 dev up0; "
                  f"ip -n out addr add {OUT}/24 dev eth0; ip -n out link set eth0 up")
        self.start(*config)


    def start(self, *config):
        guest = "port add g1 bridge br0 tap netns g1 name eth0 mac 02:00:00:00:00:01 mode bridge"
        self.must("rm -f /tmp/evb.conf")
        for line in ["bridge add br0", guest, *config]:
            self.must(f"echo '{line}' >>/tmp/evb.conf")
        self.must("evbd -c /tmp/evb.conf >/tmp/evbd.log 2>&1 & echo $! >/tmp/pid")
        self.until("evb port show >/dev/null 2>&1", "cat /tmp/evbd.log")
        self.must(f"ip -n g1 addr add {G1}/24 dev eth0; ip -n g1 link set eth0 up")

    def until(self, condition, otherwise="true"):
        self.must(f"i=0; until {condition}; do [ $((i += 1)) -lt 100 ] || {{ {otherwise}; exit 1; "
                  "}; sleep 0.1; done")

    def pings(self, space, address, patience=5):
        command = f"ping -c 3 -i 0.1 -W {patience} {address}"
        return "3 packets received" in self.run(
            f"ip netns exec {space} {command}" if space else command)[1]

    def port(self, name):
        return json.loads(self.must(f"evb -j port show {name}"))[0]

    def dispatched(self, dev="up0"):
        """Names of the programs, in the order in which they run."""
        return re.findall(r"=>\s+\d+\s+(\w+)", self.must(f"xdp-loader status {dev}"))

    def seen(self):
        """How many frames the foreign program has seen."""
        maps = json.loads(self.must("bpftool -j map dump name seen"))
        return maps[0]["formatted"]["value"]

    def kill(self):
        self.must("kill -9 $(cat /tmp/pid)")

    def clean(self):
        self.run("kill $(cat /tmp/pid); sleep 0.5; xdp-loader unload -a up0; ip link del up0; "
                    "ip netns del out; ip netns del g1; ip addr flush eth0")


@pytest.fixture(scope="module")
def machine(vm_dir, tmp_path_factory):
    net = Net()
    try:
        yield Linux61(net, vm_dir, tmp_path_factory.mktemp("linux61"))
    finally:
        net.close(failed=False)


@pytest.fixture
def linux(machine):
    yield machine
    machine.clean()


def load_foreign(linux, dev="up0", *options):
    linux.must(f"xdp-loader load {' '.join(options)} {dev} {linux.foreign}")


XDP_UPLINK = "evb port add up0 bridge br0 xdp up0 role uplink"


def test_beside_another_xdp_program(linux):
    """Both see the frames; when evbd is killed, the other one is there, and evbd's is gone."""
    linux.prepare()
    load_foreign(linux)
    linux.must(XDP_UPLINK)
    assert linux.dispatched() == ["firewall", "evb_uplink"]
    p = linux.port("up0")
    assert (p["uses"], p["xdp-mode"]) == ("xdp", "native")
    before = linux.seen()
    assert linux.pings("g1", OUT) and linux.pings("", OUT) and linux.pings("out", G1)
    assert linux.seen() >= before + 9
    # Nobody takes the place of a port that lives.
    linux.must("evbd -S /tmp/second -c /dev/null >/dev/null 2>&1 & echo $! >/tmp/pid2")
    linux.until("evb -S /tmp/second bridge add br0 2>/dev/null")
    code, out = linux.run(XDP_UPLINK.replace("evb", "evb -S /tmp/second"))
    linux.must("kill $(cat /tmp/pid2)")
    assert code == 1 and "is another evbd running?" in out
    assert linux.dispatched() == ["firewall", "evb_uplink"]
    # A guest that has the device for itself gets what is for the host.
    linux.must("evb port set g1 mode passthru")
    assert not linux.pings("out", HOST, patience=1)
    linux.must("evb port set g1 mode bridge")
    assert linux.pings("out", HOST)
    linux.must("evb port del up0")
    assert linux.dispatched() == ["firewall"]
    linux.must(XDP_UPLINK)
    assert linux.pings("g1", OUT)
    linux.kill()
    linux.until("! xdp-loader status up0 | grep -q evb_uplink", "xdp-loader status up0")
    assert linux.dispatched() == ["firewall"]
    assert linux.pings("", OUT)


def test_without_bpffs_it_says_so(linux):
    linux.prepare()
    load_foreign(linux)
    linux.must("umount /sys/fs/bpf")
    code, out = linux.run(XDP_UPLINK)
    linux.must("mount -t bpf bpf /sys/fs/bpf")
    assert code == 1 and "mount -t bpf bpf /sys/fs/bpf" in out, out
    assert "up0" not in linux.must("evb port show")


def filters(linux):
    return set(re.findall(r"evb_\w+", linux.must("for w in ingress egress; do "
                                                 "tc filter show dev up0 $w; done")))


def test_host_port_by_clsact(linux):
    """There is no TCX yet: filters, which the guard removes when evbd is killed."""
    config = ["port add up0 bridge br0 packet up0 role uplink", "port add host bridge br0 host"]
    linux.prepare(*config)
    assert filters(linux) == {"evb_host_in", "evb_host_out"}
    for _ in range(2):
        assert linux.pings("g1", HOST) and linux.pings("", G1)
        assert linux.pings("g1", OUT) and linux.pings("", OUT) and linux.pings("out", HOST)
        linux.kill()
        linux.until('[ -z "$(tc filter show dev up0 ingress; tc filter show dev up0 egress)" ]')
        assert linux.pings("", OUT)
        linux.start(*config)


def test_virtio_net_is_native(linux):
    """The driver of a NIC: what comes from the wire gets to the guest by AF_XDP."""
    linux.prepare()
    linux.must("ip link set eth0 up && evb port add nic bridge br0 xdp eth0 role uplink")
    linux.must("ip -n g1 addr add 10.1.0.61/24 dev eth0")
    p = linux.port("nic")
    assert (p["uses"], p["xdp-mode"]) == ("xdp", "native")
    assert linux.pings("g1", "10.1.0.1")
    out = linux.ns.run("ping", "-n", "-c", "3", "-i", "0.1", "-W", "5", "10.1.0.61").stdout
    assert " 3 received" in out
    linux.kill()
    linux.until("! ip link show eth0 | grep -q xdp")
