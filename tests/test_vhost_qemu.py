# SPDX-License-Identifier: Apache-2.0
"""QEMU guests on vhost-user ports: with each other, with containers, and what happens in a life.

Two guests with the same five kinds of NIC serve all tests but the last ones; a test takes the kinds
that it wants into use (VhostVm.use). The driver in the guest verifies what it gets: checksum errors
of its stack are counted, and octets compared.
"""
import hashlib
import itertools
import json
import random
import re
import socket
import subprocess
import threading

import pytest

from evblib import LONG, Guest, Net, in_netns, run, wait_for
from qemu_vm import Nic, VhostVm

NO_OFFLOADS = ",".join(f"{f}=off" for f in (
    "csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo",
    "host_tso4", "host_tso6", "host_ecn", "host_ufo"))

# What eth0, eth1, … of the guests are: fields of the port, words for QEMU, queue pairs.
SPLIT, PACKED, PLAIN, JUMBO, SINGLE = range(5)
KINDS = {
    "a": [("", "", 1), ("", "packed=on", 2), ("offload off", "", 1),
          ("mtu 9000", "host_mtu=9000", 1), ("client", "mrg_rxbuf=off", 1)],
    "b": [("", "", 2), ("queues 1", "packed=on", 1), ("", NO_OFFLOADS, 1),
          ("mtu 9000", "host_mtu=9000,packed=on", 2), ("client", "mrg_rxbuf=off,packed=on", 2)],
}
NAMES = ["split", "packed", "plain", "jumbo", "single"]
PAIRS = [(SPLIT, SPLIT), (PACKED, PACKED), (SPLIT, PACKED), (PLAIN, SPLIT), (PACKED, PLAIN),
         (PLAIN, PLAIN), (SINGLE, SINGLE), (SINGLE, PLAIN), (JUMBO, SPLIT)]


class Pair:
    """Guests a and b, containers c1 (offloads) and c2 (none), and the daemon between them."""

    def __init__(self, net, vm_dir, initramfs):
        self.net = net
        self.ns = net.ns("st")
        self.containers = {"on": Guest(net, 21, mode="bridge"),
                           "off": Guest(net, 22, mode="bridge", offload="off")}
        self.guests = {}
        config = "bridge add br0\n" + "".join(c.line() + "\n" for c in self.containers.values())
        for number, (name, kinds) in enumerate(KINDS.items(), 1):
            nics = []
            for i, (fields, props, queues) in enumerate(kinds):
                nic = Nic(f"52:54:00:00:{number:02x}:{i:02x}", net.dir / f"{name}{i}.sock", queues,
                          server="client" in fields, props=props)
                config += (f"port add {name}{i} bridge br0 vhost-user {nic.socket} "
                           f"mac {nic.mac} mode bridge {fields}\n")
                nics.append(nic)
            self.guests[name] = VhostVm(net, self.ns, name, number, nics)
        self.evbd = net.evbd(self.ns, config)
        self.vm_dir, self.initramfs = vm_dir, initramfs

    def boot(self):
        for g in self.guests.values():
            g.boot(self.vm_dir, self.initramfs)
        for g in self.guests.values():
            g.wait_ready()
            g.start_iperf_server()
        self.container_addresses()

    def container_addresses(self):
        for c in self.containers.values():
            c.addresses()

    def use(self, kind_a, kind_b):
        """The guests, which talk by NICs of these kinds from now on."""
        a, b = self.guests.values()
        for g, kind in ((a, kind_a), (b, kind_b)):
            g.use(f"eth{kind}")
            self.evbd.wait_port(f"{g.name}{kind}", "UP")
        return a, b

    def vhost(self, port):
        return self.evbd.port(port, stats=True)["vhost"]


@pytest.fixture(scope="module")
def pair(request, vm_dir, initramfs):
    net, failed = Net(), request.session.testsfailed
    try:
        p = Pair(net, vm_dir, initramfs)
        p.boot()
        yield p
    finally:
        net.close(failed=request.session.testsfailed > failed)


def talks(a, b_ip, sizes=(56, 1400, 5000)):
    """Do all pings come back, those too that are fragments? If not, what is known is printed."""
    for size in sizes:
        if not a.pings(b_ip, size=size):
            print(f"{a.name} to {b_ip}, {size} octets:", a.run("ip neigh; ifconfig -a")[1],
                  "once more:", a.pings(b_ip, size=size))
            return False
    return True


def verify_iperf(client, address):
    """TCP in both directions at once: octets arrive."""
    end = client.iperf(address, "--bidir")["end"]
    assert end["sum_received"]["bytes"] > 200_000, end
    assert end["sum_received_bidir_reverse"]["bytes"] > 200_000, end


def start_receiver(guest, port=5002):
    """The guest takes octets by TCP; their digest is what received_digest() gives."""
    guest.must("rm -f /tmp/sum; printf '#!/bin/sh\\nmd5sum >/tmp/new; mv /tmp/new /tmp/sum\\n' "
               f">/bin/digest; chmod +x /bin/digest; nc -l -p {port} -e /bin/digest & sleep 0.1")


def received_digest(guest, timeout=LONG):
    wait_for("all octets are there", lambda: guest.run("test -f /tmp/sum")[0] == 0, timeout, 0.2)
    return guest.must("cat /tmp/sum").split()[0]


BUSYBOX = open("/bin/busybox", "rb").read()  # the guests have it too: octets to send and compare


def test_offloads_are_what_was_asked_for(pair):
    """The guest's driver has the offloads that the port offers, and no others."""
    for name, kind, on in (("a", SPLIT, True), ("a", PACKED, True), ("a", PLAIN, False),
                           ("b", PLAIN, False)):
        words = pair.guests[name].must(f"ethtool -k eth{kind}")
        for word in ("tx-checksumming", "tcp-segmentation-offload"):
            assert re.search(rf"^{word}: {'on' if on else 'off'}", words, re.M), (name, kind, words)
        features = pair.vhost(f"{name}{kind}")["features"]
        assert ("guest_tso4" in features) == on, features
    assert "ring_packed" in pair.vhost("a1")["features"]
    assert "ring_packed" not in pair.vhost("a0")["features"]
    assert "mrg_rxbuf" not in pair.vhost("a4")["features"]


@pytest.mark.parametrize("kind_a,kind_b", PAIRS,
                         ids=[f"{NAMES[a]}-{NAMES[b]}" for a, b in PAIRS])
def test_two_guests(pair, kind_a, kind_b):
    """Ping and TCP, IPv4 and IPv6; no checksum is wrong, and octets arrive as they were sent."""
    a, b = pair.use(kind_a, kind_b)
    gso = pair.vhost(f"b{kind_b}")["gso"]
    assert talks(a, b.ip) and talks(b, "fd00::1")
    verify_iperf(a, b.ip)
    verify_iperf(a, "fd00::2")
    start_receiver(b)
    a.must(f"nc {b.ip} 5002 </bin/busybox")
    assert received_digest(b) == hashlib.md5(BUSYBOX).hexdigest()
    assert not a.bad_packets() and not b.bad_packets()
    # Whole segments reach whoever takes them, coalesced on the way if they were not made so.
    assert (pair.vhost(f"b{kind_b}")["gso"] > gso) == (kind_b != PLAIN)


@pytest.mark.parametrize("kind,offload", itertools.product(
    [SPLIT, PACKED, PLAIN, SINGLE], ["on", "off"]),
    ids=lambda v: v if isinstance(v, str) else NAMES[v])
def test_guest_and_container(pair, kind, offload):
    """The same with a container behind a tap at the other end, with offloads and without."""
    a, _ = pair.use(kind, SPLIT)
    c = pair.containers[offload]
    assert talks(a, c.ip4) and talks(a, c.ip6)
    assert c.ns.run("ping", "-n", "-q", "-c", "3", "-i", "0.2", a.ip).returncode == 0
    server = c.ns.popen("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    wait_for("iperf3 listens", lambda: ":5201 " in c.ns.run("ss", "-Hltn").stdout)
    verify_iperf(a, c.ip4)
    server.wait(LONG)
    data = random.Random(kind).randbytes(2_000_000)
    start_receiver(a)
    assert exchange(c.ns, a.ip, data) == b""
    assert received_digest(a) == hashlib.md5(data).hexdigest()
    assert exchange_server(c.ns, c.ip4, lambda: a.must(f"nc {c.ip4} 5003 </bin/busybox")) == BUSYBOX
    assert not a.bad_packets()


def exchange(ns, address, data, port=5002):
    """Send octets to a server; what it answers."""
    with in_netns(ns.path):
        s = socket.create_connection((address, port), timeout=LONG)
    with s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return s.recv(1)


def exchange_server(ns, address, meanwhile, port=5003):
    """What the only client of a server sends while meanwhile() runs."""
    with in_netns(ns.path):
        listener = socket.create_server((address, port))
    listener.settimeout(LONG)
    got = []

    def serve():
        s, _ = listener.accept()
        s.settimeout(LONG)
        with s, s.makefile("rb") as f:
            got.append(f.read())
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        meanwhile()
    finally:
        thread.join(LONG)
        listener.close()
    return got[0] if got else None


def test_jumbo_frames(pair):
    """MTU 9000 by host_mtu: frames of that size pass whole, and not to a port that takes 1500."""
    a, b = pair.use(JUMBO, JUMBO)
    for g in (a, b):
        assert g.must(f"cat /sys/class/net/eth{JUMBO}/mtu").strip() == "1500"  # use() set it
        g.must(f"ip link set eth{JUMBO} mtu 9000")
        assert g.run(f"ip link set eth{JUMBO} mtu 9001")[0] != 0, "host_mtu is the most"
    large = pair.vhost(f"b{JUMBO}")["sizes"]["9018"]
    assert a.pings(b.ip, size=8972) and a.pings("fd00::2", size=8952)
    assert pair.vhost(f"b{JUMBO}")["sizes"]["9018"] >= large + 6
    verify_iperf(a, b.ip)
    assert not a.bad_packets() and not b.bad_packets()
    c = pair.containers["on"]
    before = pair.evbd.drops(c.name).get("mtu", 0)
    assert not a.pings(c.ip4, count=2, size=8972, patience=1)
    assert pair.evbd.drops(c.name)["mtu"] == before + 2


@pytest.mark.parametrize("kind", [SPLIT, PACKED], ids=lambda k: NAMES[k])
def test_driver_unbound_and_bound(pair, kind):
    """Its port is down without the driver, and the same as before with it, time and again."""
    a, b = pair.use(kind, kind)
    device = a.must(f"basename $(readlink -f /sys/class/net/eth{kind}/device)").strip()
    for _ in range(3):
        b.must(f"(ping -i 0.01 -c 200 {a.ip} >/dev/null 2>&1) &")
        a.must(f"echo {device} >/sys/bus/virtio/drivers/virtio_net/unbind")
        p = pair.evbd.wait_port(f"a{kind}", "DOWN")
        assert "driver" in p["reason"], p
        a.must(f"echo {device} >/sys/bus/virtio/drivers/virtio_net/bind")
        a.use(f"eth{kind}")
        pair.evbd.wait_port(f"a{kind}", "UP")
        assert talks(a, b.ip), pair.evbd.json("drops")
    verify_iperf(a, b.ip)
    assert pair.vhost(f"a{kind}")["faults"] == 0


def test_guest_reset(pair):
    """A reset in the midst of traffic: the guest boots, and all is as before."""
    a, b = pair.use(PACKED, SPLIT)
    a.must(f"(ping -i 0.01 {b.ip} >/dev/null 2>&1) &")
    b.must(f"(ping -i 0.01 {a.ip} >/dev/null 2>&1) &")
    a.qmp("system_reset")
    a.wait_ready()
    a.start_iperf_server()
    b.run("killall ping")
    for kind_a, kind_b in ((PACKED, SPLIT), (SPLIT, PACKED)):
        pair.use(kind_a, kind_b)
        assert talks(a, b.ip)
        verify_iperf(a, b.ip)
    assert all(pair.vhost(f"a{i}")["faults"] == 0 for i in range(5))


@pytest.mark.parametrize("kind", [SPLIT, PACKED], ids=lambda k: NAMES[k])
def test_nic_unplugged_and_plugged(pair, kind):
    """The guest loses its NIC and gets one anew, by the same port."""
    a, b = pair.use(kind, kind)
    nic = a.vnics[kind]
    b.must(f"(ping -i 0.01 {a.ip} >/dev/null 2>&1) &")
    a.qmp("device_del", id=f"d{kind}")
    a.qmp.wait_deleted(f"d{kind}")
    a.qmp("netdev_del", id=f"n{kind}")  # and with it the connection
    p = pair.evbd.wait_port(f"a{kind}", "DOWN")
    assert "no VMM is connected" in p["reason"], p
    a.qmp("chardev-add", id=f"c{kind}", backend={"type": "socket", "data": {
        "addr": {"type": "unix", "data": {"path": str(nic.socket)}}, "server": False,
        "reconnect": 1}})
    a.qmp("netdev_add", type="vhost-user", id=f"n{kind}", chardev=f"c{kind}", queues=nic.queues)
    a.qmp("device_add", driver="virtio-net-pci", netdev=f"n{kind}", mac=nic.mac, vectors=0,
          id=f"d{kind}", romfile="", mq=nic.queues > 1, packed="packed=on" in nic.props)
    pair.evbd.wait_port(f"a{kind}", "UP")
    pair.use(kind, kind)
    b.run("killall ping")
    assert talks(a, b.ip)
    verify_iperf(a, b.ip)


def free_memory(guest):
    """In KiB."""
    return int(re.search(r"MemFree: +(\d+)", guest.must("cat /proc/meminfo")).group(1))


def test_memory_plugged_under_traffic(pair):
    """The guest gets memory, puts frames there, and gives some back; TCP never breaks."""
    a, b = pair.use(PACKED, SPLIT)
    regions = pair.vhost("a1")["memory"]["regions"]
    a.must(f"(iperf3 -c {b.ip} --bidir -t 60 >/tmp/log 2>&1; echo $? >/tmp/code) &")
    for i in (1, 2):
        a.qmp("object-add", qom_type="memory-backend-memfd", id=f"h{i}", size=128 << 20, share=True)
        a.qmp("device_add", driver="pc-dimm", id=f"dimm{i}", memdev=f"h{i}")
        wait_for("the region is here", lambda: pair.vhost("a1")["memory"]["regions"] > regions)
        regions = pair.vhost("a1")["memory"]["regions"]
        state = f"/sys/devices/system/memory/memory{31 + i}/state"  # 128 MiB each, from 4 GiB on
        wait_for("the guest sees it", lambda: a.run(f"test -f {state}")[0] == 0)
        if i == 1:  # the second one is never used, and can go
            before = free_memory(a)
            a.must(f"echo online_kernel >{state}")
            # It is above all the guest had, in a zone that is used before the others.
            assert free_memory(a) > before + 100_000
    assert talks(b, a.ip)
    a.qmp("device_del", id="dimm2")
    a.qmp.wait_deleted("dimm2")
    a.qmp("object-del", id="h2")
    wait_for("the region is gone", lambda: pair.vhost("a1")["memory"]["regions"] < regions)
    assert talks(b, a.ip)
    assert a.run("cat /tmp/code")[0] != 0, a.must("cat /tmp/log")  # it still runs
    assert free_memory(a) > 50_000
    a.must("killall iperf3; sleep 0.2")
    a.start_iperf_server()
    assert not a.bad_packets()
    assert pair.vhost("a1")["faults"] == 0


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("kind", [SPLIT, PACKED, SINGLE], ids=lambda k: NAMES[k])
def test_daemon_started_again(pair, kind, how):
    """evbd ends and comes back in the midst of a stream: the guests notice a pause."""
    a, b = pair.use(kind, kind)
    times, port = 12, f"b{kind}"
    start_receiver(b)
    before = pair.evbd.port(port, stats=True)["stats64"]["tx"]["bytes"]
    a.must(f"(for i in $(seq {times}); do cat /bin/busybox; done | nc {b.ip} 5002) "
           ">/dev/null 2>&1 &")
    wait_for("it flows", lambda: pair.evbd.port(port, stats=True)["stats64"]["tx"]["bytes"]
             > before + 1_000_000)
    getattr(pair.evbd, how)()
    pair.evbd.start()
    for name in (f"a{kind}", port):
        pair.evbd.wait_port(name, "UP")
    digest = hashlib.md5()
    for _ in range(times):
        digest.update(BUSYBOX)
    assert received_digest(b, timeout=90) == digest.hexdigest()
    assert pair.evbd.port(port, stats=True)["stats64"]["tx"]["bytes"] > 1_000_000
    pair.container_addresses()
    assert talks(a, b.ip) and talks(a, pair.containers["on"].ip4)
    assert not a.bad_packets() and not b.bad_packets()
