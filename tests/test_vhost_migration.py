# SPDX-License-Identifier: Apache-2.0
"""Live migration of QEMU guests under traffic, from one vhost-user port to another.

What evbd writes into guest memory during a migration has to reach the destination too. TCP hides
what is lost on the way, so each test also leaves octets in buffers of the guest that only evbd has
written, and has them read after the move: a page that was not logged as dirty is then old.
"""
import fcntl
import hashlib
import random
import signal
import socket
import struct
import subprocess

import pytest

from evblib import LONG, in_netns, wait_for
from qemu_vm import MIGRATABLE, Nic, VhostVm, shared_memory, vm

MAC = "52:54:00:00:00:01"
SIOCOUTQ = 0x5411
ARP, RARP = 0x0806, 0x8035
PARKED = random.Random(5).randbytes(300_000)
CHUNK = random.Random(6).randbytes(50_000)


class OneHost:
    """Both ports on one bridge, the second in standby until the guest has moved.

    The peer is a container on the same bridge.
    """

    def __init__(self, net):
        self.net, self.ns, self.peer = net, *net.ns("st", "peer")
        self.sockets = [net.dir / "vm-one.sock", net.dir / "vm-two.sock"]
        self.evbd = net.evbd(self.ns, (
            "bridge add br0\n"
            "port add peer bridge br0 tap netns {} name eth0 mac 02:00:00:00:00:09 mode bridge\n"
            "port add one bridge br0 vhost-user {} mac {mac} mode bridge\n"
            "port add two bridge br0 vhost-user {} mac {mac} mode bridge standby on\n").format(
                self.peer.name, *self.sockets, mac=MAC))
        self.ports = [(self.evbd, "one"), (self.evbd, "two")]

    def moved(self):
        self.evbd.evb("port set one standby on")
        self.evbd.evb("port set two standby off")


class TwoHosts:
    """A daemon on each of two hosts; the wire between them is a bridge that learns.

        one ── evbd ── up0 ═══ p1 ── evbd: learning ── p3 ═══ eth0 of the peer
        two ── evbd ── up0 ═══ p2 ──┘
    """

    def __init__(self, net):
        self.net = net
        self.ns, other, switch, self.peer = net.ns("h1", "h2", "sw", "peer")
        net.veth(self.ns, "up0", switch, "p1")
        net.veth(other, "up0", switch, "p2")
        net.veth(self.peer, "eth0", switch, "p3")
        self.switch = net.evbd(switch, "bridge add sw0 type learning\n" + "".join(
            f"port add {p} bridge sw0 packet {p}\n" for p in ("p1", "p2", "p3")), name="switch")
        self.sockets = [net.dir / "vm-one.sock", net.dir / "vm-two.sock"]
        self.ports = []
        for ns, name, path in ((self.ns, "one", self.sockets[0]), (other, "two", self.sockets[1])):
            d = net.evbd(ns, "bridge add br0 uplink up0\n"
                         f"port add {name} bridge br0 vhost-user {path} mac {MAC}\n", name=name)
            self.ports.append((d, name))

    def moved(self):
        """Nobody has to say so: the guest announces it, or has its VMM do that."""


class Parked:
    """Octets that wait in the guest's socket: its reader is stopped before they come."""

    def __init__(self, peer, guest):
        self.guest = guest
        guest.must("echo '4096 4000000 8000000' >/proc/sys/net/ipv4/tcp_rmem")
        receiver(guest, 5004, "parked")
        with in_netns(peer.path):
            self.s = socket.create_connection((guest.ip, 5004), timeout=LONG)
        wait_for("the reader runs", lambda: guest.run("pidof parked")[0] == 0)
        guest.must("kill -STOP $(pidof parked) $(pidof md5sum)")

    def send(self):
        """Until all of it is acknowledged, and so in the guest's memory."""
        self.s.sendall(PARKED)
        wait_for("all is acknowledged", lambda: struct.unpack(
            "i", fcntl.ioctl(self.s, SIOCOUTQ, bytes(4)))[0] == 0)

    def verify(self, guest):
        guest.must("kill -CONT $(pidof md5sum) $(pidof parked)")
        self.s.close()
        assert digest_of(guest, "parked") == hashlib.md5(PARKED).hexdigest()


class Stream:
    """TCP into the guest for as long as it takes, at a rate that an emulated guest can take."""

    def __init__(self, peer, guest):
        receiver(guest, 5005, "stream")
        self.process = peer.popen("/usr/bin/python3", "-c", STREAM, guest.ip, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(CHUNK.hex() + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()  # connected

    def verify(self, guest):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=LONG)
        n = int(out)
        assert n > 2
        digest = hashlib.md5()
        for _ in range(n):
            digest.update(CHUNK)
        assert digest_of(guest, "stream") == digest.hexdigest()


class Announced:
    """Frames by which the guest's address is announced, as the peer hears them."""

    def __init__(self, peer, ethertype):
        with in_netns(peer.path):
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
            self.s.bind(("eth0", ethertype))
        self.s.settimeout(LONG)
        self.ethertype = ethertype

    def verify(self):
        """RARP: who am I; ARP: the guest asks for itself."""
        while True:
            octets = self.s.recv(2048)
            if octets[6:12] != bytes.fromhex(MAC.replace(":", "")) or octets[:6] != b"\xff" * 6:
                continue
            if self.ethertype == RARP or octets[28:32] == octets[38:42]:
                return


STREAM = """
import signal, socket, sys, time
chunk = bytes.fromhex(sys.stdin.readline())
s = socket.create_connection((sys.argv[1], 5005), timeout=60)
end = []
signal.signal(signal.SIGINT, lambda *_: end.append(1))
print(flush=True)
n = 0
while not end:
    s.sendall(chunk)
    n += 1
    time.sleep(0.02)
s.close()
print(n)
"""


def receiver(guest, port, name):
    guest.must(f"rm -f /tmp/{name}; printf '#!/bin/sh\\nmd5sum >/tmp/{name}.new; "
               f"mv /tmp/{name}.new /tmp/{name}\\n' >/bin/{name}; chmod +x /bin/{name}; "
               f"nc -l -p {port} -e /bin/{name} & sleep 0.1")


def digest_of(guest, name):
    wait_for("the guest has all octets", lambda: guest.run(f"test -f /tmp/{name}")[0] == 0,
             every=0.2)
    return guest.must(f"cat /tmp/{name}").split()[0]


def migrate(source, destination, in_copy):
    """Move the guest. in_copy() runs when all memory was copied once, and before it stops."""
    path = source.net.dir / "migration.sock"
    destination.qmp("migrate-incoming", uri=f"unix:{path}")
    source.must("printf '#!/bin/sh\\nwhile :; do '"
                "'dd if=/dev/zero of=/tmp/zero bs=4k count=2000 conv=notrunc; done\\n' "
                ">/bin/scribble; chmod +x /bin/scribble; scribble >/dev/null 2>&1 &")
    source.qmp("migrate-set-parameters", max_bandwidth=40 << 20, downtime_limit=1)
    source.qmp("migrate", uri=f"unix:{path}")

    def ram():
        i = source.qmp("query-migrate")
        assert i.get("status") != "failed", (i, source.messages(), destination.messages())
        return i.get("ram", {"dirty-sync-count": 0, "remaining": 1 << 30}), i["status"]
    wait_for("nearly all memory was copied", lambda: ram()[0]["dirty-sync-count"] > 1
             or ram()[0]["remaining"] < 4 << 20, timeout=60)
    # From here on it is slower than the guest scribbles, and cannot end.
    source.qmp("migrate-set-parameters", max_bandwidth=1 << 20)
    wait_for("all memory was copied once", lambda: ram()[0]["dirty-sync-count"] > 1, timeout=60)
    in_copy()
    assert ram()[1] == "active"
    source.qmp("migrate-set-parameters", max_bandwidth=1 << 30, downtime_limit=2000)
    wait_for("the guest has moved", lambda: ram()[1] == "completed", timeout=60)
    wait_for("it runs", lambda: destination.qmp("query-status")["status"] == "running")
    destination.must("killall scribble")


@pytest.mark.parametrize("site,queues,props,announcement", [
    (OneHost, 1, "", RARP), (OneHost, 2, "packed=on", RARP),
    (TwoHosts, 2, "", ARP), (TwoHosts, 1, "packed=on,guest_announce=off", RARP)],
    ids=["one-host-split", "one-host-packed", "guest-announces", "vmm-announces"])
def test_live_migration(net, vm_dir, initramfs, site, queues, props, announcement):
    """The guest moves in the midst of TCP: nothing is lost, nothing is old, and all find it."""
    s = site(net)
    source, destination = (
        VhostVm(net, s.ns, name, 1, [Nic(MAC, path, queues, props=props)],
                shared_memory(MIGRATABLE))
        for name, path in zip(("source", "destination"), s.sockets))
    source.boot(vm_dir, initramfs)
    destination.boot(vm_dir, initramfs, ["-incoming", "defer"])
    source.wait_ready()
    source.use("eth0")
    s.peer.ip("addr add 10.0.0.9/24 dev eth0", "link set eth0 up")
    (d1, one), (d2, two) = s.ports
    d1.wait_port(one, "UP")
    d2.wait_port(two, "DOWN", "STANDBY")
    parked, streams = Parked(s.peer, source), []
    announced = Announced(s.peer, announcement)

    def in_copy():
        assert d1.port(one, stats=True)["vhost"]["logging"]
        parked.send()  # into buffers that have been there, and copied, since the driver made them
        streams.append(Stream(s.peer, source))
    migrate(source, destination, in_copy)
    s.moved()
    d2.wait_port(two, "UP")
    d1.wait_port(one, "DOWN", "STANDBY")
    source.end()
    announced.verify()
    parked.verify(destination)
    before = d2.port(two, stats=True)["stats64"]["tx"]["bytes"]
    wait_for("the stream goes on", lambda: d2.port(two, stats=True)["stats64"]["tx"]["bytes"]
             > before + 200_000)
    streams[0].verify(destination)
    assert destination.pings("10.0.0.9")
    assert not destination.bad_packets()
    info = d2.port(two, stats=True)["vhost"]
    assert info["faults"] == 0 and not info["logging"]
