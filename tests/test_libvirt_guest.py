# SPDX-License-Identifier: Apache-2.0
"""libvirt itself, unchanged: a QEMU guest with <virtualport type='802.1Qbg'> on a kernel macvtap.

The guest has no system: it is the network boot of its BIOS that asks for an address, whose frames
are seen behind the adjacent bridge, or are not.
"""
import resource
import socket
import subprocess

import pytest

from evblib import Rpc, in_netns, wait_for
from frames import RawPort

MAC = "52:54:00:00:00:77"
DOMAIN = f"""<domain type='qemu'>
 <name>g1</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
 <os><type arch='x86_64'>hvm</type><boot dev='network'/><bios rebootTimeout='0'/></os>
 <devices>
  <emulator>/usr/bin/qemu-system-x86_64</emulator>
  <interface type='direct'><mac address='{MAC}'/><source dev='up0' mode='vepa'/>
   <virtualport type='802.1Qbg'><parameters managerid='1' typeid='5' typeidversion='4'
    instanceid='11111111-2222-3333-4444-555555555555'/></virtualport>
   <model type='virtio'/></interface>
 </devices>
</domain>
"""
# Folders of its own, so that nothing of the machine's libvirt is touched.
LIBVIRTD = """
mount -t tmpfs tmpfs /run; mkdir -p /run/libvirt /run/lock
for d in /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /etc/libvirt; do
    mkdir -p $d; mount -t tmpfs tmpfs $d
done
mount -t sysfs sysfs /sys
touch /run/lldpad.pid; mount --bind {file} /run/lldpad.pid
cat >/etc/libvirt/qemu.conf <<E
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
E
printf 'unix_sock_dir = "/run/libvirt"\\nauth_unix_rw = "none"\\n' >/etc/libvirt/libvirtd.conf
read # until it is told to go on
exec libvirtd -f /etc/libvirt/libvirtd.conf
"""
PORT_OF_PID = 1 << 22  # libnl: the port ID of the nth socket of a process is its PID + n * this
TYPE = "5 version 4 manager 1"


def take_high_ports(ns, pid):
    """Sockets on all netlink port IDs from 2^31 up that libnl would choose for the process, so that
    it takes lower ones. By the time of day it begins with either, for minutes, and libvirt takes a
    high one of its own for an error: "sending of PortProfileRequest failed", and nothing sent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), max(hard, 2048)))
    taken = []
    with in_netns(ns.path):
        for n in range(512, 1024):
            taken.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
            taken[-1].bind((pid + n * PORT_OF_PID, 0))
    return taken


class Bed:
    """up0, on which libvirt puts its macvtap, is a tap that the adjacent bridge holds: libvirt goes
    from a device to the one beneath it, and a veth pair in one namespace would have no end."""

    def __init__(self, net):
        self.net = net
        self.st, self.sw, self.srv = net.ns("st", "sw", "srv")
        for ns in (self.st, self.sw, self.srv):
            ns.silence()
        net.veth(self.sw, "p2", self.srv, "s0")
        self.bridge = net.evbd(
            self.sw, f"bridge add sw0 type learning\nvsitype add {TYPE} vlan 20 default-vlan 20\n"
            f"port add p1 bridge sw0 tap netns {self.st.name} name up0 trunk all native 20 "
            "evb auto evb-rka 17 vdp on\n"
            "port add p2 bridge sw0 packet p2 vlan 20\n", name="bridge")
        self.st.ip("link set up0 up")
        file = net.dir / "lldpad.pid"
        self.station = net.evbd(self.st, "bridge add br0 uplink up0\nport set up0 evb auto "
                                "evb-rka 17\n", name="station", args=("-L", file))
        wait_for("agreed", lambda: self.station.call("evb.show")[0]["peer"])
        self.server = RawPort(self.srv, "s0")
        self.log = open(net.dir / "libvirtd.log", "w")
        self.daemon = self.st.popen("unshare", "-m", "-i", "bash", "-c",
                                    LIBVIRTD.format(file=file), stdin=subprocess.PIPE,
                                    stdout=self.log, stderr=subprocess.STDOUT)
        self.ports = take_high_ports(self.st, self.daemon.pid)
        self.daemon.stdin.write(b"go\n")
        self.daemon.stdin.close()
        wait_for("libvirtd answers", lambda: self.virsh("version").returncode == 0)
        (net.dir / "g1.xml").write_text(DOMAIN)

    def virsh(self, *words):
        return self.st.run("nsenter", "-t", self.daemon.pid, "-m", "virsh", "-c",
                           "qemu:///system", *words, check=False, timeout=60)

    def create(self):
        return self.virsh("create", self.net.dir / "g1.xml")

    def stands(self):
        return [v["state"] for v in self.bridge.call("vsi.show")] == ["associated"]

    def hears(self):
        """Did a frame of the guest arrive behind the bridge since it was asked last?"""
        mac = bytes.fromhex(MAC.replace(":", ""))
        return any(octets[6:12] == mac for octets in self.server.receive_all())

    def keep_alives(self):
        rows = self.station.json("vsi show", options=["-s"])
        return rows[0]["stats"]["vdp"].get("keep_alives", 0) if rows else 0

    def dropped(self):
        return self.bridge.drops("p1").get("vsi", 0)

    def close(self):
        self.virsh("destroy", "g1")
        self.daemon.terminate()
        self.daemon.wait(20)
        for s in self.ports:
            s.close()


@pytest.fixture
def bed(net):
    b = Bed(net)
    yield b
    b.close()


def test_guest(bed):
    """Made: it passes. Changed: libvirt asks again by itself. Revoked: it does not pass. Refused:
    no guest. Made again: it passes, whatever becomes of evbd."""
    p = bed.create()
    assert p.returncode == 0, p.stderr
    assert bed.stands()
    wait_for("the guest is heard", bed.hears, timeout=60)
    bed.bridge.evb(f"vsitype set {TYPE} vlan 21 default-vlan 21")
    wait_for("it stands in another VLAN", lambda: [
        v["filters"] for v in bed.bridge.call("vsi.show")] == [[f"{MAC}/21"]])
    bed.bridge.evb(f"vsitype del {TYPE}")
    wait_for("revoked", lambda: not bed.bridge.call("vsi.show"))
    bed.hears()
    before = bed.dropped()
    wait_for("the guest goes on asking", lambda: bed.dropped() > before, timeout=60)
    assert not bed.hears()
    assert bed.virsh("destroy", "g1").returncode == 0
    p = bed.create()
    assert p.returncode and "port-profile setlink" in p.stderr
    bed.bridge.evb(f"vsitype add {TYPE} vlan 20 default-vlan 20")
    assert bed.create().returncode == 0
    assert bed.stands()
    wait_for("the guest is heard", bed.hears, timeout=60)
    # evbd is killed and started again while the guest runs: the bridge notices nothing.
    monitor = Rpc(bed.bridge.socket)
    monitor.call("monitor.subscribe", kinds=["vsi"])
    bed.station.kill()
    bed.station.start()
    bed.hears()
    wait_for("kept alive for longer than the bridge waits", lambda: bed.keep_alives() >= 3)
    wait_for("the guest is heard", bed.hears, timeout=60)
    monitor.call("daemon.show")
    assert bed.stands() and not monitor.events
    assert bed.virsh("destroy", "g1").returncode == 0
    wait_for("de-associated", lambda: not bed.bridge.call("vsi.show"))
