# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom in each port mode, with real stacks behind the ports, and what the wire sees."""
import itertools
import socket
import struct
import time

import pytest

from evblib import Guest, Station, in_netns, iperf, ping_matrix, wait_for
from frames import RawPort

IPV4, ICMP = 0x0800, 1


def guests_with(net, *modes):
    return [Guest(net, i, mode=mode) for i, mode in enumerate(modes, 1)]


def all_pairs(hosts):
    return list(itertools.permutations(hosts, 2))


def expected_pairs(station, reflecting):
    """What must reach what, by mode."""
    modes = {g.name: g.fields["mode"] for g in station.guests}
    good = set()
    for a, b in all_pairs(station.hosts()):
        if "out" in (a, b):
            good.add((a, b))
        elif "private" in (modes[a], modes[b]):
            continue
        elif modes[a] == modes[b] == "bridge" or reflecting:
            good.add((a, b))
    return good


@pytest.mark.parametrize("switch", ["evbd", "linux"])
@pytest.mark.parametrize("modes", [("vepa",) * 3, ("bridge",) * 3, ("private",) * 3,
                                   ("bridge", "bridge", "vepa", "vepa", "private")],
                         ids=lambda m: "-".join(dict.fromkeys(m)))
def test_reachability(net, switch, modes):
    """With a reflecting bridge all reach all, but for private ports, which reach the outside."""
    s = Station(net, guests_with(net, *modes), switch=switch)
    hosts = s.hosts()
    assert ping_matrix(hosts, all_pairs(hosts)) == expected_pairs(s, reflecting=True)


def test_reachability_without_reflection(net):
    """An ordinary bridge does not send back: only bridge mode connects guests of one station."""
    s = Station(net, guests_with(net, "bridge", "bridge", "vepa", "vepa"))
    s.adjacent.evb("port set p-st reflective-relay off")
    hosts = s.hosts()
    assert ping_matrix(hosts, all_pairs(hosts)) == expected_pairs(s, reflecting=False)


def test_private_holds_against_static_neighbours(net):
    """Kernel macvlan lets private ports talk once they know the other's MAC. We do not."""
    s = Station(net, guests_with(net, "private", "private"))
    a, b = s.guests
    a.ns.ip(f"neigh replace {b.ip4} lladdr {b.mac} dev eth0 nud permanent")
    b.ns.ip(f"neigh replace {a.ip4} lladdr {a.mac} dev eth0 nud permanent")
    hosts = s.hosts()
    reached = ping_matrix(hosts, all_pairs(hosts))
    assert reached == expected_pairs(s, reflecting=True)
    assert s.evbd.drops("up0").get("private", 0) >= 3


def icmp_between(raw, a, b):
    """Number of ICMP packets from address a to b among what the raw port saw."""
    want = bytes(map(int, a.split("."))) + bytes(map(int, b.split(".")))
    n = 0
    for octets in raw.receive_all():
        ethertype, = struct.unpack("!H", octets[12:14])
        n += ethertype == IPV4 and octets[23] == ICMP and octets[26:34] == want
    return n


@pytest.mark.parametrize("mode, on_wire", [("vepa", True), ("bridge", False)])
def test_what_the_wire_sees(net, mode, on_wire):
    """VEPA: each packet crosses the wire out and back. Bridge mode: none does."""
    s = Station(net, guests_with(net, mode, mode))
    a, b = s.guests
    a.ns.run("ping", "-n", "-q", "-c", "1", "-W", "5", b.ip4)
    with RawPort(s.sw, "st0") as out, RawPort(s.st, "up0") as back:
        a.ns.run("ping", "-n", "-q", "-c", "5", "-i", "0.05", "-W", "5", b.ip4)
        time.sleep(0.1)
        requests = icmp_between(out, a.ip4, b.ip4), icmp_between(back, a.ip4, b.ip4)
    assert requests == ((5, 5) if on_wire else (0, 0))


def test_mode_change_under_load(net):
    """A TCP stream between two guests outlives many changes of mode, and bytes go through."""
    s = Station(net, guests_with(net, "vepa", "vepa"))
    a, b = s.guests
    changes = 0

    def flip(client):
        nonlocal changes
        end = time.monotonic() + 2.5
        while time.monotonic() < end and client.poll() is None:
            for mode in ("bridge", "vepa"):
                for g in s.guests:
                    s.evbd.call("port.set", ifname=g.name, mode=mode)
                    changes += 1
                time.sleep(0.05)

    result = iperf(b.ns, a.ns, b.ip4, seconds=3, before_end=flip)
    assert changes > 40
    assert all(i["sum"]["bytes"] > 0 for i in result["intervals"])
    # Both ways were taken.
    assert s.evbd.port("up0", stats=True)["stats64"]["tx"]["packets"] > 100
    g1 = s.evbd.port("g1", stats=True)
    assert g1["stats64"]["rx"]["packets"] > g1["to_wire"] + 100


def test_firewall_in_the_wire(net):
    """What vepa is for: the adjacent bridge's firewall stands between guests of one station."""
    s = Station(net, guests_with(net, "vepa", "vepa"), switch="linux")
    a, b = s.guests
    s.sw.run("nft", "add table bridge f; add chain bridge f forward { type filter hook forward "
             "priority 0; }; add rule bridge f forward tcp dport 5001 counter drop")
    for port, open_in_vepa in ((5001, False), (5002, True)):
        with in_netns(b.ns.path):
            listener = socket.create_server((b.ip4, port))
        assert connects(a, b, port) == open_in_vepa
        for g in s.guests:
            s.evbd.evb(f"port set {g.name} mode bridge")
        assert connects(a, b, port)
        for g in s.guests:
            s.evbd.evb(f"port set {g.name} mode vepa")
        listener.close()


def connects(a, b, port):
    with in_netns(a.ns.path):
        s = socket.socket()
    s.settimeout(1)
    try:
        s.connect((b.ip4, port))
    except TimeoutError:
        return False
    finally:
        s.close()
    return True


@pytest.mark.parametrize("mode", ["private", "vepa", "bridge"])
def test_duplicate_address_detection(net, mode):
    """A guest never hears its own solicitation come back, which would cost it the address."""
    s = Station(net, guests_with(net, mode))
    (a,) = s.guests
    for name, value in (("accept_dad", 1), ("enhanced_dad", 0)):
        for where in ("all", "eth0"):
            a.ns.sysctl(f"net/ipv6/conf/{where}/{name}", value)
    a.ns.ip("addr add fd00::77/64 dev eth0")

    def state():
        return a.ns.run("ip", "-6", "addr", "show", "dev", "eth0", "to", "fd00::77").stdout
    assert "tentative" in state()
    wait_for("detection is over", lambda: "tentative" not in state() or "dadfailed" in state())
    assert "dadfailed" not in state()
    assert s.evbd.drops("up0").keys() & {"private", "returned", "looped"}  # it did come back


def test_private_reaches_private_through_router(net):
    """A router between them is allowed: its frames carry the router's address as source."""
    s = Station(net, guests_with(net, "private", "private"))
    a, b = s.guests
    s.out.sysctl("net/ipv4/ip_forward", 1)
    s.out.sysctl("net/ipv4/conf/all/send_redirects", 0)
    s.out.sysctl("net/ipv4/conf/eth0/send_redirects", 0)
    for guest, other in ((a, b), (b, a)):
        guest.ns.ip(f"route add {other.ip4}/32 via 10.0.0.100")
    hosts = s.hosts()
    assert ping_matrix(hosts, [("g1", "g2"), ("g2", "g1")]) == {("g1", "g2"), ("g2", "g1")}


def test_host_keeps_its_device(net):
    """The host's own address on the uplink device works on, while evbd uses the device."""
    s = Station(net, guests_with(net, "vepa", "bridge"))
    s.st.ip("addr add 10.0.0.200/24 dev up0", "addr add fd00::200/64 dev up0 nodad")
    hosts = {**s.hosts(), "host": (s.st, "10.0.0.200")}
    pairs = [("host", "out"), ("out", "host"), ("g1", "host"), ("host", "g1"), ("g2", "host"),
             ("host", "g2"), ("g1", "out")]
    assert ping_matrix(hosts, pairs) == set(pairs)
    iperf(s.out, s.st, "10.0.0.100", seconds=1)


def test_several_workers(net):
    """The same rules with several workers, under load in both directions."""
    s = Station(net, guests_with(net, "vepa", "bridge", "bridge"), start=False)
    s.evbd = net.evbd(s.st, s.config, name="station", args=["-w", "3"])
    for g in s.guests:
        g.addresses()
    hosts = s.hosts()
    assert ping_matrix(hosts, all_pairs(hosts)) == expected_pairs(s, reflecting=True)
    iperf(s.guests[1].ns, s.guests[0].ns, s.guests[1].ip4, "--bidir", "-P", "3", seconds=2)
    iperf(s.guests[2].ns, s.guests[1].ns, s.guests[2].ip4, "-R", seconds=1)
