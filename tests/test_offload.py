# SPDX-License-Identifier: Apache-2.0
"""Frames of all sizes: GSO and checksums passed on or done in software, MTU, jumbo frames.

The receiver is a kernel: it verifies every checksum that evbd completed. The test compares what
was received octet by octet, so that a segment in the wrong place does not go unnoticed.
"""
import hashlib
import itertools
import random
import socket
import threading

import pytest

from evblib import LONG, Guest, Station, in_netns, iperf, ping_matrix

SOL_UDP, UDP_SEGMENT = 17, 103
FAMILIES = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}
OFFLOADS = [p for p in itertools.product(["on", "off"], repeat=2)]


def checksum_errors(ns):
    """Sum of all checksum errors that the stack of the namespace has seen."""
    with in_netns(ns.path):
        with open("/proc/thread-self/net/snmp") as f:
            lines = [line.split() for line in f]
        with open("/proc/thread-self/net/snmp6") as f:
            lines6 = [line.split() for line in f]
    n = sum(int(v) for names, values in zip(lines[::2], lines[1::2])
            for k, v in zip(names, values) if "CsumErrors" in k or k == "InHdrErrors")
    return n + sum(int(v) for k, v in lines6 if "CsumErrors" in k or k == "Ip6InHdrErrors")


def sockets(kind, family, server_ns, client_ns, address):
    """A bound socket in one namespace, a socket connected to it in the other."""
    with in_netns(server_ns.path):
        server = socket.socket(FAMILIES[family], kind)
        server.settimeout(LONG)
        server.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
    with in_netns(client_ns.path):
        client = socket.socket(FAMILIES[family], kind)
        client.settimeout(LONG)
        client.connect(server.getsockname()[:2])
    return server, client


def send_tcp(family, server_ns, client_ns, address, n_octets=6_000_000):
    """Send random octets by TCP, and see that the same arrive."""
    data = random.Random(1).randbytes(n_octets)
    listener, client = sockets(socket.SOCK_STREAM, family, server_ns, client_ns, address)
    server, _ = listener.accept()
    server.settimeout(LONG)
    got = hashlib.sha256()

    def receive():
        while octets := server.recv(1 << 18):
            got.update(octets)
    with listener, client, server:
        t = threading.Thread(target=receive)
        t.start()
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        t.join(LONG)
        assert not t.is_alive()
    assert got.digest() == hashlib.sha256(data).digest()


def send_udp(family, server_ns, client_ns, address, segment, n_octets):
    """Send by UDP with segmentation offload, and see that all datagrams arrive, in order."""
    server, client = sockets(socket.SOCK_DGRAM, family, server_ns, client_ns, address)
    client.setsockopt(SOL_UDP, UDP_SEGMENT, segment)
    with server, client:
        for seed in range(20):
            data = random.Random(seed).randbytes(n_octets)
            client.send(data)
            want = [data[i:i + segment] for i in range(0, n_octets, segment)]
            assert [server.recv(65536) for _ in want] == want


def frame_size(evbd, port, way="rx"):
    """Mean octets of a frame."""
    stats = evbd.port(port, stats=True)["stats64"][way]
    return stats["bytes"] / stats["packets"]


@pytest.mark.parametrize("sender, receiver", OFFLOADS)
@pytest.mark.parametrize("mode", ["bridge", "vepa"])
def test_tcp_and_udp(net, sender, receiver, mode):
    """Each combination of offloads at the two guests, directly and by the wire."""
    s = Station(net, [Guest(net, 1, mode=mode, offload=sender),
                      Guest(net, 2, mode=mode, offload=receiver)])
    a, b = s.guests
    for family in FAMILIES:
        send_tcp(family, b.ns, a.ns, getattr(b, family))
        send_udp(family, b.ns, a.ns, getattr(b, family), 1200, 30_000)
        send_udp(family, b.ns, a.ns, getattr(b, family), 777, 7001)
        send_udp(family, b.ns, a.ns, getattr(b, family), 100, 6500)  # more than a burst
    g1, g2 = s.evbd.port("g1", stats=True), s.evbd.port("g2", stats=True)
    # What was meant to be tested did happen: long frames, and cutting them up.
    if sender == "on":
        assert frame_size(s.evbd, "g1") > 2500
    else:
        assert frame_size(s.evbd, "g1") < 1515
    if mode == "bridge":
        assert (g2.get("segmented", 0) > 0) == ((sender, receiver) == ("on", "off"))
    iperf(b.ns, a.ns, b.ip4, "-R")
    assert checksum_errors(a.ns) == checksum_errors(b.ns) == 0
    assert g1.get("drops", {}).get("offload", 0) == g2.get("drops", {}).get("offload", 0) == 0


@pytest.mark.parametrize("offload", ["on", "off"])
def test_through_both_daemons_to_a_host(net, offload):
    """From a guest to the host outside and back, with devices that do not segment for us too."""
    s = Station(net, [Guest(net, 1, mode="vepa", offload=offload)])
    (a,) = s.guests
    for devices_offload in ("on", "off"):
        for ns, dev in ((s.st, "up0"), (s.sw, "st0"), (s.sw, "out0")):
            ns.run("ethtool", "-K", dev, "tso", devices_offload, "gso", devices_offload,
                   "tx", devices_offload)
        for family, address in (("ip4", "10.0.0.100"), ("ip6", "fd00::100")):
            send_tcp(family, s.out, a.ns, address)
            send_tcp(family, a.ns, s.out, getattr(a, family))
            send_udp(family, s.out, a.ns, address, 1000, 20_000)
            send_udp(family, a.ns, s.out, getattr(a, family), 1000, 20_000)
    assert checksum_errors(a.ns) == checksum_errors(s.out) == 0


def device_frame_size(ns, dev):
    """Mean octets of the frames that a device of a namespace has received."""
    with in_netns(ns.path):
        with open("/proc/thread-self/net/dev") as f:
            (line,) = [line for line in f if line.strip().startswith(f"{dev}:")]
    octets, frames = line.split(":")[1].split()[:2]
    return int(octets) / int(frames)


@pytest.mark.parametrize("vlan", [None, 10])
@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("driver, checksums", [
    ("packet", "on"), ("packet", "off"),
    ("xdp", "off")])  # what a veth leaves to be summed comes by AF_XDP as if it were
def test_segments_from_the_wire_are_coalesced(net, driver, offload, vlan, checksums):
    """Segments that come one by one reach a guest as few large frames, if it takes such."""
    s = Station(net, [Guest(net, 1, mode="vepa", offload=offload)], switch="linux", start=False)
    s.start(s.config.replace("uplink up0", f"uplink up0 driver {driver}"))
    if vlan:  # on the wire it stays untagged
        s.evbd.evb(f"port set g1 vlan {vlan}")
        s.evbd.evb(f"port set up0 native {vlan}")
    (a,) = s.guests
    for ns, dev in ((s.out, "eth0"), (s.sw, "st0"), (s.sw, "out0"), (s.st, "up0")):
        ns.run("ethtool", "-K", dev, "tso", "off", "gso", "off", "gro", "off", "tx", checksums)
    for family in FAMILIES:
        send_tcp(family, a.ns, s.out, getattr(a, family), 30_000_000)
    assert frame_size(s.evbd, "up0") < 1515
    g1 = s.evbd.port("g1", stats=True)
    # tx counts what came from the wire: one at a time.
    assert frame_size(s.evbd, "g1", "tx") < 1515
    if offload == "on":
        assert g1["coalesced"] > g1["stats64"]["tx"]["packets"] / 2
        assert device_frame_size(a.ns, "eth0") > 3000
    else:
        assert "coalesced" not in g1 or g1["coalesced"] == 0
        assert device_frame_size(a.ns, "eth0") < 1515
    assert g1.get("segmented", 0) == 0
    iperf(a.ns, s.out, a.ip4)
    iperf(a.ns, s.out, a.ip4, "-R")
    assert checksum_errors(a.ns) == checksum_errors(s.out) == 0


def test_one_flood_to_receivers_of_both_kinds(net):
    """A datagram for all, sent with a partial checksum: whole to one, completed for the other."""
    s = Station(net, [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge", offload="off"),
                      Guest(net, 3, mode="bridge")])
    a, *others = s.guests
    receiving = [*(g.ns for g in others), s.out]
    receivers = []
    for ns in receiving:
        with in_netns(ns.path):
            receivers.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        receivers[-1].bind(("", 4000))
        receivers[-1].settimeout(LONG)
    with in_netns(a.ns.path):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for size in (1, 100, 1001, 1472):
        data = random.Random(size).randbytes(size)
        sender.sendto(data, ("10.0.0.255", 4000))
        assert all(r.recv(2000) == data for r in receivers)
    assert [checksum_errors(ns) for ns in receiving] == [0, 0, 0]
    assert s.evbd.port("g2", stats=True)["csum"] >= 4
    assert s.evbd.port("g3", stats=True).get("csum", 0) == 0
    for sock in [sender, *receivers]:
        sock.close()


def test_jumbo(net):
    """MTU 9000 of the uplink becomes that of ports; frames of that length pass everywhere."""
    guests = [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge"),
              Guest(net, 3, mode="vepa"), Guest(net, 4, mode="bridge", mtu=1500)]
    s = Station(net, guests, mtu=9000)
    assert [s.evbd.port(g.name)["mtu"] for g in guests] == [9000, 9000, 9000, 1500]
    assert [g.ns.links()["eth0"]["mtu"] for g in guests] == [9000, 9000, 9000, 1500]
    a, b, c, d = guests
    big = ["ping", "-n", "-q", "-c", "2", "-i", "0.1", "-W", "2", "-M", "do", "-s", "8972"]
    for ns, address in ((a.ns, b.ip4), (a.ns, c.ip4), (c.ns, a.ip4), (c.ns, "10.0.0.100")):
        ns.run(*big, address)
    before = s.evbd.drops("g4")
    assert a.ns.run(*big[:-1], "1473", "-c", "1", d.ip4, check=False).returncode == 1
    assert s.evbd.drops("g4").get("mtu", 0) == before.get("mtu", 0) + 1
    a.ns.run(*big[:-1], "1472", d.ip4)
    for server, client in ((b, a), (c, a), (d, a), (a, d)):
        for family in FAMILIES:
            send_tcp(family, server.ns, client.ns, getattr(server, family), 3_000_000)
    send_udp("ip4", b.ns, a.ns, b.ip4, 8900, 44_500)
    for g in guests:
        assert checksum_errors(g.ns) == 0
    hosts = s.hosts()
    pairs = [("out", g.name) for g in guests]
    assert ping_matrix(hosts, pairs) == set(pairs)


def test_port_mtu_can_change(net):
    s = Station(net, [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge")], mtu=4000)
    a, b = s.guests
    probe = ["ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "do", "-s"]
    s.evbd.evb("port set g2 mtu 1000")
    assert b.ns.links()["eth0"]["mtu"] == 1000
    assert a.ns.run(*probe, "973", b.ip4, check=False).returncode == 1
    a.ns.run(*probe, "972", b.ip4)
    s.evbd.evb("port set g2 mtu none")
    assert b.ns.links()["eth0"]["mtu"] == 4000
    a.ns.run(*probe, "3972", b.ip4)
