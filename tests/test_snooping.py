# SPDX-License-Identifier: Apache-2.0
"""IGMP and MLD snooping: real stacks join and leave, and captures show who gets what."""
import contextlib
import socket
import struct
import threading
import time

import pytest
import scapy.contrib.igmp as igmp
import scapy.contrib.igmpv3 as igmpv3
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import (ICMPv6MLQuery2, IPv6, IPv6ExtHdrHopByHop, RouterAlert)
from scapy.layers.l2 import Ether

from evblib import Guest, Rpc, Station, in_netns, wait_for
from frames import RawPort, raw_relay

MCAST_JOIN_SOURCE_GROUP = 46
STREAM, STREAM6, SSM = "239.1.1.1", "ff0e::1:1", "232.5.5.5"
OUT_MAC, OUT_LL = "02:00:00:00:01:00", "fe80::100"


def group_mac(group):
    if ":" in group:
        return "33:33:" + ":".join(f"{b:02x}" for b in socket.inet_pton(socket.AF_INET6,
                                                                        group)[12:])
    b = socket.inet_aton(group)
    return f"01:00:5e:{b[1] & 0x7f:02x}:{b[2]:02x}:{b[3]:02x}"


def query_v1():
    """A general query of IGMPv1, to be answered within 10 s."""
    return bytes(Ether(dst=group_mac("224.0.0.1"), src=OUT_MAC) /
                 IP(src="10.0.0.100", dst="224.0.0.1", ttl=1) / igmp.IGMP(type=0x11, mrcode=0))


def queries(src="10.0.0.100", interval=2):
    """General queries of IGMPv3 and MLDv2, to be answered within a second."""
    v4 = (Ether(dst=group_mac("224.0.0.1"), src=OUT_MAC) /
          IP(src=src, dst="224.0.0.1", ttl=1, options=[IPOption_Router_Alert()]) /
          igmpv3.IGMPv3(type=0x11, mrcode=10) / igmpv3.IGMPv3mq(gaddr="0.0.0.0", qrv=2,
                                                                qqic=interval))
    v6 = (Ether(dst=group_mac("ff02::1"), src=OUT_MAC) /
          IPv6(src=OUT_LL, dst="ff02::1", hlim=1) /
          IPv6ExtHdrHopByHop(options=[RouterAlert()]) /
          ICMPv6MLQuery2(mladdr="::", mrd=1000, QRV=2, QQIC=interval))
    return [bytes(v4), bytes(v6)]


@contextlib.contextmanager
def querier(ns, dev="eth0"):
    """A router that asks every second."""
    port, ended = RawPort(ns, dev), threading.Event()

    def ask():
        while not ended.wait(1):
            for q in queries():
                port.send(q)
    for q in queries():
        port.send(q)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        port.close()


def join(ns, group, source=None, dev="eth0"):
    """A socket that is a member; closing it is leaving."""
    with in_netns(ns.path):
        family = socket.AF_INET6 if ":" in group else socket.AF_INET
        s = socket.socket(family, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(dev)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                         socket.inet_pton(family, group) + struct.pack("=I", index))
        elif source:
            def address(a):
                return struct.pack("=HH4s120x", family, 0, socket.inet_aton(a))
            s.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP,
                         struct.pack("=I4x", index) + address(group) + address(source))
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         socket.inet_aton(group) + struct.pack("=4sI", b"\0" * 4, index))
    return s


class Watch:
    """Sees what arrives on eth0 of guests."""

    token = 0

    def __init__(self, spaces, dev="eth0"):
        self.ports = {name: RawPort(ns, dev) for name, ns in spaces.items()}

    def who_gets(self, ns, group, dev="eth0"):
        """The names of those who get a datagram that is sent to the group in `ns`."""
        Watch.token += 1
        text = f"evb-snoop-{Watch.token:06}".encode()
        with in_netns(ns.path):
            family = socket.AF_INET6 if ":" in group else socket.AF_INET
            s = socket.socket(family, socket.SOCK_DGRAM)
            index = socket.if_nametoindex(dev)
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            else:
                s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                             struct.pack("=4s4sI", b"\0" * 4, b"\0" * 4, index))
                s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            s.sendto(text, (group, 9999))
            s.close()
        got, last = set(), time.monotonic()
        while time.monotonic() - last < 0.1:
            for name, port in self.ports.items():
                if any(text in octets for octets in port.receive_all()):
                    got.add(name)
                    last = time.monotonic()
            time.sleep(0.005)
        return got


def mdb(evbd, kind, **keys):
    rows = [r for r in evbd.call("mdb.show") if r["type"] == kind]
    return [r for r in rows if all(r.get(k) == v for k, v in keys.items())]


def members(evbd, group):
    return {r["ifname"] for r in mdb(evbd, "member", group=group)}


def wait_filters(evbd, n=2):
    """Both families are filtered, and no port is in doubt."""
    wait_for("both families are filtered", lambda: len(mdb(evbd, "querier", filters=True)) == n)
    wait_for("no port gets all", lambda: not mdb(evbd, "all"))


def guests_with(net, *modes):
    return [Guest(net, i, mode=mode) for i, mode in enumerate(modes, 1)]


ALL = {"g1", "g2", "g3", "g4"}


@pytest.fixture
def station(net):
    s = Station(net, guests_with(net, "vepa", "vepa", "bridge", "bridge"))
    s.out.ip("link set eth0 address 02:00:00:00:01:00")
    s.evbd.evb("bridge set br0 snooping on")
    s.watch = Watch({g.name: g.ns for g in s.guests})
    s.ns = {g.name: g.ns for g in s.guests}
    return s


def test_members_only(station):
    s, d, w = station, station.evbd, station.watch
    sockets = [join(s.ns["g1"], STREAM), join(s.ns["g3"], STREAM6)]
    assert w.who_gets(s.out, STREAM) == ALL  # nobody asks: nothing is filtered
    assert w.who_gets(s.out, "239.9.9.9") == ALL
    with querier(s.out):
        wait_filters(d)
        assert members(d, STREAM) == {"g1"} and members(d, STREAM6) == {"g3"}
        before = d.drops("up0").get("group", 0)
        assert w.who_gets(s.out, STREAM) == {"g1"}
        assert w.who_gets(s.out, STREAM6) == {"g3"}
        assert w.who_gets(s.out, "239.9.9.9") == set()
        assert w.who_gets(s.out, "ff0e::9:9") == set()
        assert d.drops("up0")["group"] >= before + 2
        assert w.who_gets(s.out, "225.129.1.1") == {"g1"}  # has the same MAC address
        # what must never be filtered: mDNS, all nodes, groups of the link that nobody told of
        for group in ("224.0.0.251", "224.0.0.1", "ff02::1", "ff02::1:ffab:cdef", "ff02::1234"):
            assert w.who_gets(s.out, group) == ALL, group
        # from guests: by way of the reflecting bridge, and directly in bridge mode
        assert w.who_gets(s.ns["g2"], STREAM) == {"g1"}
        assert w.who_gets(s.ns["g4"], STREAM6) == {"g3"}
        assert w.who_gets(s.ns["g4"], STREAM) == {"g1"}
        # one source of a group is wanted: the group is
        sockets.append(join(s.ns["g2"], SSM, source="10.0.0.100"))
        wait_for("g2 is a member", lambda: members(d, SSM) == {"g2"})
        assert w.who_gets(s.out, SSM) == {"g2"}
    for sock in sockets:
        sock.close()


def test_leave(station):
    """The kernel sends its leave; who is left keeps the group."""
    s, d, w = station, station.evbd, station.watch
    with querier(s.out):
        a, b, c = (join(s.ns[g], STREAM) for g in ("g1", "g2", "g3"))
        wait_filters(d)
        assert w.who_gets(s.out, STREAM) == {"g1", "g2", "g3"}
        a.close()
        wait_for("g1 has left", lambda: members(d, STREAM) == {"g2", "g3"})
        assert w.who_gets(s.out, STREAM) == {"g2", "g3"}
        d.evb("port set g2 fastleave on")
        b.close()
        wait_for("g2 has left", lambda: members(d, STREAM) == {"g3"}, timeout=1)
        c.close()
        wait_for("nobody is left", lambda: members(d, STREAM) == set())
        assert w.who_gets(s.out, STREAM) == set()


def test_querier_vanishes(station):
    """Without it nobody tells any more who wants what, so all get all again."""
    s, d, w = station, station.evbd, station.watch
    with querier(s.out):
        sock = join(s.ns["g1"], STREAM)
        wait_filters(d)
        assert w.who_gets(s.out, STREAM) == {"g1"}
    wait_for("the querier is forgotten", lambda: not mdb(d, "querier"))
    assert w.who_gets(s.out, STREAM) == ALL
    assert w.who_gets(s.out, "ff0e::9:9") == ALL
    sock.close()


def test_old_querier(station):
    """It and its hosts know no leave; they have 10 s to answer."""
    s, d, w = station, station.evbd, station.watch
    for ns in s.ns.values():
        ns.sysctl("net/ipv4/conf/eth0/force_igmp_version", 1)
    sockets = [join(s.ns[g], STREAM) for g in ("g1", "g3")]
    with RawPort(s.out, "eth0") as port:
        port.send(query_v1())
        assert w.who_gets(s.out, "239.9.9.9") == ALL
        wait_for("IPv4 is filtered", lambda: mdb(d, "querier", filters=True))
    assert members(d, STREAM) == {"g1", "g3"}
    assert w.who_gets(s.out, STREAM) == {"g1", "g3"}
    for sock in sockets:
        sock.close()


def test_old_hosts(station):
    """Hosts of IGMPv2 and MLDv1 keep silent if they hear another's report: none must."""
    s, d, w = station, station.evbd, station.watch
    for ns in s.ns.values():
        ns.sysctl("net/ipv4/conf/eth0/force_igmp_version", 2)
        ns.sysctl("net/ipv6/conf/eth0/force_mld_version", 1)
    sockets = [join(s.ns[g], group) for g in ("g1", "g2", "g3", "g4")
               for group in (STREAM, STREAM6)]
    with querier(s.out):
        wait_filters(d)
        for _ in range(3):  # rounds of answers
            time.sleep(1.5)
            assert members(d, STREAM) == members(d, STREAM6) == ALL
        assert w.who_gets(s.out, STREAM) == ALL
        assert w.who_gets(s.out, STREAM6) == ALL
    for sock in sockets:
        sock.close()


def tentative(ns):
    return "tentative" in ns.run("ip", "-6", "addr", "show", "dev", "eth0").stdout


def link_local(ns):
    shown = ns.run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link").stdout
    for word in shown.split():
        if word.startswith("fe80"):
            return word.split("/")[0]
    return None


def test_neighbour_discovery(net):
    """DAD and ping by link-local, before anything is known and with all filtered. A Linux asks."""
    s = Station(net, guests_with(net, "vepa", "bridge", "bridge"), switch="linux")
    d = s.evbd
    d.evb("bridge set br0 snooping on")
    for ns in [g.ns for g in s.guests] + [s.out]:
        ns.sysctl("net/ipv6/conf/eth0/accept_dad", 1)

    def check(when):
        for g in s.guests:
            g.ns.ip("link set eth0 down", "link set eth0 up")
            g.addresses()
        for g in s.guests:
            wait_for(f"{g.name} has its address, {when}",
                     lambda: link_local(g.ns) and not tentative(g.ns))
        pings = {}
        for a in s.guests:
            for b in s.guests:
                if a is not b:
                    pings[a.name, b.name] = a.ns.popen(
                        "ping", "-6", "-q", "-c", "2", "-i", "0.3", "-W", "2",
                        f"{link_local(b.ns)}%eth0")
            pings[a.name, "out"] = a.ns.popen("ping", "-6", "-q", "-c", "2", "-i", "0.3", "-W",
                                              "2", f"{link_local(s.out)}%eth0")
        assert {k for k, p in pings.items() if p.wait(20)} == set(), when
    check("nothing known")
    s.sw.ip("link set br0 type bridge mcast_snooping 1 mcast_igmp_version 3 mcast_mld_version 2 "
            "mcast_query_interval 300 mcast_query_response_interval 100 "
            "mcast_startup_query_interval 100 mcast_query_use_ifaddr 1",
            "addr add 10.0.0.99/24 dev br0", "link set br0 type bridge mcast_querier 1")
    check("a querier begins")
    wait_filters(d)
    check("all is filtered")
    late = Guest(net, 9, mode="vepa")
    d.evb(late.line())
    late.ns.sysctl("net/ipv6/conf/eth0/accept_dad", 1)
    late.addresses()
    s.guests.append(late)
    check("with a new guest")


def test_new_and_moved_ports(station):
    """A guest that comes gets all groups until it was asked; memberships follow the port."""
    s, d, w = station, station.evbd, station.watch
    sock = join(s.ns["g1"], STREAM)
    with querier(s.out):
        wait_filters(d)
        assert w.who_gets(s.out, STREAM) == {"g1"}
        d.evb("port set g2 standby on")
        d.evb("port set g2 standby off")  # as if it had migrated here, with its groups
        assert [r["ifname"] for r in mdb(d, "all")] == ["g2"]
        assert w.who_gets(s.out, STREAM) == {"g1", "g2"}
        wait_filters(d)
        assert w.who_gets(s.out, STREAM) == {"g1"}
        d.evb("port set g1 standby on")
        assert members(d, STREAM) == set()
        d.evb("port set g1 standby off")
        wait_for("g1 is a member", lambda: members(d, STREAM) == {"g1"})
        d.evb("port set g1 mode bridge")
        assert members(d, STREAM) == {"g1"}
        assert w.who_gets(s.ns["g4"], STREAM) == {"g1"}
        d.evb("port set g1 vlan 20")
        assert members(d, STREAM) == set()
        d.evb("port set g3 promisc on")
        assert w.who_gets(s.out, "239.9.9.9") == {"g3"}
        d.lost_ports = True
        d.evb("port del g1")
        assert members(d, STREAM) == set()
        d.evb("bridge set br0 snooping off")
        assert d.call("mdb.show") == []
        assert w.who_gets(s.out, "239.9.9.9") == {"g2", "g3", "g4"}
    sock.close()


def test_shown(station):
    """evb mdb show, its JSON, events, and the settings after a restart."""
    s, d = station, station.evbd
    monitor = Rpc(d.socket)
    monitor.call("monitor.subscribe", kinds=["mdb"])
    with querier(s.out):
        sock = join(s.ns["g1"], STREAM)
        wait_filters(d)
        (row,) = [r for r in d.json("mdb show port g1") if r.get("group") == STREAM]
        assert row.pop("timer") in range(1, 6)
        assert row == {"type": "member", "family": "ipv4", "group": STREAM, "vlan": 1,
                       "ifname": "g1", "bridge": "br0"}
        assert {r["querier"] for r in mdb(d, "querier", ifname="up0")} == {"10.0.0.100", OUT_LL}
        assert len(mdb(d, "router", ifname="up0")) == 2
        text = d.evb("mdb").stdout
        assert STREAM in text and "querier, filters" in text, text
        assert d.json("bridge show br0")[0]["snooping"] is True
    events = []
    while not any(e.get("group") == STREAM for e in events):
        events.append(monitor.next_event())
    time_of = events[-1].pop("time")
    assert time_of and events[-1] == {"kind": "mdb", "type": "member", "family": "ipv4",
                                      "group": STREAM, "vlan": 1, "ifname": "g1", "bridge": "br0",
                                      "action": "add"}
    while (e := monitor.next_event())["action"] != "del":
        pass
    monitor.close()
    sock.close()
    d.evb("port set g1 fastleave on")
    saved = d.evb("config show").stdout
    assert "snooping on" in saved and "fastleave on" in saved
    d.stop()
    d.config.write_text(saved)
    d.start()
    assert d.evb("config show").stdout == saved
    assert d.json("port show g1")[0]["fastleave"] is True


def report(group, src):
    return bytes(Ether(dst=group_mac(group), src=src) /
                 IP(src="10.0.0.7", dst=group, ttl=1, options=[IPOption_Router_Alert()]) /
                 igmp.IGMP(type=0x16, gaddr=group))


def test_learning_relay(net):
    """Data goes to members and routers, reports to routers only."""
    lab = raw_relay(net, "", "", "", "", options="snooping on")
    d, mac = lab.evbd, group_mac(STREAM)
    a, b = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
    others = {"p2", "p3", "p4"}

    def data():
        return set(lab.where("p2", mac, b, ethertype=0x0800))
    assert data() == {"p1", "p3", "p4"}
    lab.ports["p4"].send(queries(interval=60)[0])
    lab.ports["p1"].send(report(STREAM, a))
    wait_for("p1 is a member", lambda: members(d, STREAM) == {"p1"})
    wait_filters(d, n=1)
    assert data() == {"p1", "p4"}
    for port in lab.ports.values():
        port.receive_all()
    lab.ports["p3"].send(report(STREAM, "02:00:00:00:00:0c"))
    wait_for("p3 is a member", lambda: members(d, STREAM) == {"p1", "p3"})
    time.sleep(0.1)
    assert {p for p in lab.ports if lab.ports[p].receive_all()} == {"p4"}
    assert data() == {"p1", "p3", "p4"}
    # not IP, and broadcast
    assert set(lab.where("p1", mac, a)) == others
    assert set(lab.where("p1", "ff:ff:ff:ff:ff:ff", a, ethertype=0x0800)) == others


def test_babbler(net):
    """A guest that joins more than can be noted harms nobody, and gets everything."""
    lab = raw_relay(net, "", "", "", options="snooping on")
    d, a = lab.evbd, "02:00:00:00:00:0a"
    lab.ports["p3"].send(queries(interval=60)[0])
    lab.ports["p2"].send(report(STREAM, "02:00:00:00:00:0b"))
    wait_filters(d, n=1)
    for i in range(600):
        lab.ports["p1"].send(report(f"239.2.{i >> 8}.{i & 255}", a))
    wait_for("p1 gets all", lambda: [r["ifname"] for r in mdb(d, "all")] == ["p1"])
    assert set(lab.where("p3", group_mac("239.7.7.7"), OUT_MAC, ethertype=0x0800)) == {"p1"}
    assert set(lab.where("p3", group_mac(STREAM), OUT_MAC, ethertype=0x0800)) == {"p1", "p2"}
    assert len(mdb(d, "member", ifname="p1")) <= 512
    assert d.log.read_text().count("p1: more is said of multicast groups") == 1
