# SPDX-License-Identifier: Apache-2.0
"""The host port: the host's own stack on the uplink's device as a station of the relay.

The namespace `st` of the station is the host: evbd runs there, and its addresses are on up0.
"""
import ctypes
import itertools
import json
import re
import socket
import struct
import subprocess
import time

import pytest

from evblib import Guest, Refused, Station, in_netns, iperf, run, wait_for
from frames import BROADCAST, C_TAG, RawPort, frame, mac_octets, number_of, settle, tag_of

SYS_BPF, BPF_PROG_QUERY, TCX_INGRESS, TCX_EGRESS = 321, 16, 46, 47  # x86-64
GROUP4, GROUP6 = "224.0.0.251", "ff02::fb"
HOST4, HOST6 = "10.0.0.50", "fd00::50"


class HostStation(Station):
    """A station whose host has addresses on the uplink's device, and is a port by default."""

    def __init__(self, net, *modes, mode="bridge", port=True, reflecting=False, **kw):
        guests = [Guest(net, i, mode=m) for i, m in enumerate(modes, 1)]
        super().__init__(net, guests, **kw)
        self.st.ip(f"addr add {HOST4}/24 dev up0", f"addr add {HOST6}/64 dev up0 nodad")
        self.before = self.state()
        if not reflecting and self.adjacent:
            self.adjacent.evb("port set p-st reflective-relay off")
        if port:
            self.evbd.evb(f"port add host bridge br0 host mode {mode}")

    def state(self):
        """What must not change on the host: routes, addresses, the device, its programs."""
        def shown(*what):
            text = run(["ip", "-n", self.st.name, *what]).stdout
            return re.sub(r" (age|expires) \S+", "", text)
        return [shown("-4", "route"), shown("-6", "route"), shown("addr", "show", "up0"),
                programs(self)]

    def who(self):
        """Name to (namespace, IPv4 address, IPv6 address)."""
        w = {g.name: (g.ns, g.ip4, g.ip6) for g in self.guests}
        return {**w, "host": (self.st, HOST4, HOST6), "out": (self.out, "10.0.0.100", "fd00::100")}


def query_programs(ifindex, hook):
    """Ids of the programs at a TCX hook of a device: bpftool of Debian 12 does not know it."""
    ids = (ctypes.c_uint32 * 16)()
    attr = ctypes.create_string_buffer(
        struct.pack("=IIIIQI36x", ifindex, hook, 0, 0, ctypes.addressof(ids), len(ids)), 64)
    if ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, BPF_PROG_QUERY, attr, len(attr)):
        raise OSError(ctypes.get_errno(), "BPF_PROG_QUERY")
    return list(ids[:struct.unpack_from("=I", attr, 24)[0]])


def programs(station):
    """(device, program) of what hangs on TC of the host's devices."""
    if not station.st.path.exists():
        return set()
    found = set()
    for dev, link in station.st.links().items():
        for hook in (TCX_INGRESS, TCX_EGRESS):
            with in_netns(station.st.path):
                ids = query_programs(link["ifindex"], hook)
            for i in ids:
                shown = json.loads(run(["bpftool", "-j", "prog", "show", "id", i]).stdout)
                found.add((dev, shown["name"]))
        for hook in ("ingress", "egress"):
            text = station.st.run("tc", "filter", "show", "dev", dev, hook).stdout
            found |= {(dev, name) for name in re.findall(r"evb_\w+", text)}
    return found


def pings(who, pairs):
    """Which of (from, to, family) answer to all of three pings, once each; all at once."""
    running = {}
    for (a, b), family in itertools.product(pairs, (4, 6)):
        ns, address = who[a][0], who[b][1 if family == 4 else 2]
        running[a, b, family] = ns.popen("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", address,
                                         stdout=subprocess.PIPE, text=True)
    good = set()
    for key, p in running.items():
        out, _ = p.communicate(timeout=20)
        assert "DUP!" not in out, f"{key}: received twice\n{out}"
        if p.returncode == 0 and " 3 received" in out:
            good.add(key)
    return good


def test_shown_and_gone(net):
    """The port has the device of the uplink; nothing of the host's changes, nothing is left."""
    s = HostStation(net, "bridge")
    p = s.evbd.port("host")
    assert (p["kind"], p["mode"], p["operstate"], p["dev"]) == ("host", "bridge", "UP", "up0")
    assert p["address"] == [s.st.mac("up0")] and p["mtu"] == 1500
    assert "port add host bridge br0 host\n" in s.evbd.evb("config show").stdout
    assert programs(s) == {("up0", "evb_host_in"), ("up0", "evb_host_out"),
                                                   ("evb-h2", "evb_host_tap")}
    assert s.state()[:3] == s.before[:3]
    assert not s.st.run("ip", "-o", "addr", "show", "evb-h2").stdout
    s.evbd.lost_ports = True
    s.evbd.evb("port del host")
    assert s.state() == s.before and set(s.st.links()) == {"lo", "up0"}
    s.evbd.evb("port add host bridge br0 host")
    assert pings(s.who(), [("host", "g1")]) == {("host", "g1", 4), ("host", "g1", 6)}
    s.evbd.kill()
    assert s.state() == s.before
    wait_for("the tap is gone", lambda: set(s.st.links()) == {"lo", "up0"})
    assert pings(s.who(), [("host", "out")]) == {("host", "out", 4), ("host", "out", 6)}
    s.evbd.start()
    s.guests[0].addresses()
    s.evbd.evb("port add host bridge br0 host")
    assert pings(s.who(), [("host", "g1")]) == {("host", "g1", 4), ("host", "g1", 6)}


@pytest.mark.parametrize("switch, driver", [("evbd", "packet"), ("linux", "packet"),
                                            ("linux", "xdp")])
@pytest.mark.parametrize("mode", ["bridge", "vepa", "private"])
def test_reachability(net, mode, switch, driver):
    """Among the host, guests of each mode and the outside, in both address families."""
    s = HostStation(net, "bridge", "bridge", "vepa", "private", mode=mode, reflecting=True,
                    switch=switch, driver=driver)
    assert s.evbd.port("up0")["driver"] == driver
    modes = {"g1": "bridge", "g2": "bridge", "g3": "vepa", "g4": "private", "host": mode}
    pairs = list(itertools.permutations(["host", "g1", "g2", "g3", "g4", "out"], 2))
    expected = {(a, b) for a, b in pairs
                if "out" in (a, b) or "private" not in (modes[a], modes[b])}
    reached = pings(s.who(), pairs)
    assert reached == {(a, b, f) for a, b in expected for f in (4, 6)}


def test_without_reflection(net):
    """An ordinary bridge does not send back: the host reaches guests in bridge mode, as they it."""
    s = HostStation(net, "bridge", "vepa")
    pairs = [(a, b) for a, b in itertools.permutations(["host", "g1", "g2", "out"], 2)]
    good = {p for p in pairs if "out" in p or "g2" not in p}
    assert pings(s.who(), pairs) == {(a, b, f) for a, b in good for f in (4, 6)}
    s.evbd.evb("port set host mode vepa")
    good = {p for p in pairs if "out" in p}
    assert pings(s.who(), pairs) == {(a, b, f) for a, b in good for f in (4, 6)}


def test_no_carrier(net):
    """The wire is pulled: host and guests go on."""
    s = HostStation(net, "bridge")
    s.sw.ip("link set st0 down")
    s.evbd.wait_port("up0", "LOWERLAYERDOWN")
    both = {("host", "g1", 4), ("g1", "host", 4), ("host", "g1", 6), ("g1", "host", 6)}
    assert pings(s.who(), [("host", "g1"), ("g1", "host")]) == both
    s.st.ip("link set up0 down")
    p = s.evbd.wait_port("host", "DOWN")
    assert "up0 is down" in p["reason"]
    s.sw.ip("link set st0 up")
    s.st.ip("link set up0 up")
    s.st.ip(f"addr replace {HOST6}/64 dev up0 nodad")
    s.evbd.wait_port("host", "UP")
    wait_for("they talk", lambda: pings(s.who(), [("host", "g1"), ("g1", "host")]) == both)


# ---- what people use it for ----

@pytest.mark.parametrize("to_host", [True, False])
def test_tcp_goes_whole(net, to_host):
    """TCP at full size both ways: frames of many segments, no checksum or segment by evbd."""
    s = HostStation(net, "bridge")
    g = s.guests[0]
    if to_host:
        result = iperf(s.st, g.ns, HOST4)
    else:
        result = iperf(g.ns, s.st, g.ip4)
    assert result["end"]["sum_received"]["bytes"] > 10 << 20
    ports = s.evbd.ports()
    for name in ("host", "g1"):
        p = ports[name]
        assert p["segmented"] == p["csum"] == 0, p
    bulk = ports["g1" if to_host else "host"]["stats64"]["rx"]
    assert bulk["bytes"] / bulk["packets"] > 4000, bulk
    assert ports["up0"]["stats64"]["tx"]["packets"] < 50


def udhcpc(ns, dev):
    """The address that a DHCP client gets, or None."""
    p = ns.run("busybox", "udhcpc", "-f", "-q", "-n", "-t", "20", "-T", "1", "-i", dev, "-s",
               "/bin/true", check=False)
    found = re.search(r"lease of (\S+) obtained", p.stdout + p.stderr)
    return found.group(1) if found else None


def dnsmasq(net, ns, dev, *args):
    return ns.popen("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
                    "--no-ping",
                    f"--interface={dev}", "--bind-interfaces", f"--pid-file={net.dir}/dns.pid",
                    f"--dhcp-leasefile={net.dir}/leases", *args, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("server", ["host", "g1"])
def test_dhcp(net, server):
    """The host serves guests, and a guest serves the host."""
    s = HostStation(net, "bridge", "bridge")
    dev = {"host": "up0", "g1": "eth0", "g2": "eth0"}
    dnsmasq(net, s.who()[server][0], dev[server], "--dhcp-range=10.0.0.200,10.0.0.220,2m")
    for client in {"host", "g1", "g2"} - {server}:
        address = udhcpc(s.who()[client][0], dev[client])
        assert address and 200 <= int(address.split(".")[3]) <= 220, (client, address)


@pytest.mark.parametrize("router", ["host", "g1"])
def test_ipv6_autoconfiguration(net, router):
    """Router advertisements of the host reach a guest, and those of a guest the host."""
    s = HostStation(net, "bridge", "bridge")
    dev = {"host": "up0", "g1": "eth0", "g2": "eth0"}
    ns = s.who()[router][0]
    others = {"host", "g1", "g2"} - {router}
    for name in others:
        s.who()[name][0].sysctl(f"net/ipv6/conf/{dev[name]}/accept_ra", 2)
    ns.ip(f"addr add fd01::1/64 dev {dev[router]} nodad")
    dnsmasq(net, ns, dev[router], "--enable-ra", f"--ra-param={dev[router]},4",
            f"--dhcp-range=::,constructor:{dev[router]},ra-only,64,2m")
    for name in others:
        there = s.who()[name][0]
        wait_for(f"{name} has an address", lambda ns=there, d=dev[name]: "fd01::" in
                 ns.run("ip", "-6", "addr", "show", d, "scope", "global").stdout)
        assert there.run("ping", "-c", "1", "-W", "2", "fd01::1").returncode == 0


class Listener:
    """Counts what arrives for a group, as an mDNS responder would hear it."""

    def __init__(self, ns, dev, family):
        with in_netns(ns.path):
            self.s = socket.socket(family, socket.SOCK_DGRAM)
            index = socket.if_nametoindex(dev)
            if family == socket.AF_INET:
                member = struct.pack("=4s4si", socket.inet_aton(GROUP4), bytes(4), index)
                self.s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
                self.s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
                self.s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
                self.to = (GROUP4, 5353)
            else:
                member = socket.inet_pton(family, GROUP6) + struct.pack("=i", index)
                self.s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
                self.s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                self.s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
                self.to = (GROUP6, 5353, 0, index)
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self.s.bind(("", 5353))
            self.s.setblocking(False)

    def heard(self):
        got = []
        while True:
            try:
                got.append(self.s.recv(100).decode())
            except BlockingIOError:
                return sorted(got)


@pytest.mark.parametrize("reflecting, driver", [(False, "packet"), (True, "packet"), (True, "xdp")])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_multicast_and_broadcast_once(net, family, reflecting, driver):
    """Multicast DNS: whoever sends, all others hear it once, whatever the adjacent bridge does."""
    s = HostStation(net, "bridge", "bridge", "vepa", reflecting=reflecting, driver=driver)
    who = s.who()
    ears = {n: Listener(ns, "up0" if n == "host" else "eth0", family)
            for n, (ns, _, _) in who.items()}
    for name, ear in ears.items():
        ear.s.sendto(name.encode(), ear.to)
    if family == socket.AF_INET:
        for name, ear in ears.items():
            ear.s.sendto(f"all {name}".encode(), ("10.0.0.255", 5353))
    time.sleep(0.5)
    expected = {}
    for name in ears:
        others = set(ears) - {name}
        if not reflecting and name in ("g1", "g2", "host"):
            others -= {"g3"}
        if not reflecting and name == "g3":
            others = {"out"}
        expected[name] = list(others)
        if family == socket.AF_INET:  # the kernel lets the sender of a broadcast hear it
            expected[name] += [f"all {o}" for o in others | {name}]
        expected[name].sort()
    assert {name: ear.heard() for name, ear in ears.items()} == expected


def test_what_the_wire_sees(net):
    """Between host and guest nothing but broadcasts is on the wire, and each of them once."""
    s = HostStation(net, "bridge")
    g = s.guests[0]
    with RawPort(s.sw, "st0") as wire:
        pings(s.who(), [("host", "g1"), ("g1", "host")])
        for ns, dev, src in ((s.st, "up0", s.st.mac("up0")), (g.ns, "eth0", g.mac)):
            with RawPort(ns, dev) as raw:
                raw.send(frame(BROADCAST, src, 7))
        time.sleep(0.2)
        seen = wire.receive_all()
    host, guest = mac_octets(s.st.mac("up0")), mac_octets(g.mac)
    assert not [o for o in seen if {o[:6], o[6:12]} == {host, guest}]
    broadcasts = [o[6:12] for o in seen if number_of(o) == 7]
    assert sorted(broadcasts) == sorted([host, guest])


def test_mode_changes_under_traffic(net):
    """From bridge to vepa and back: pings go on, by the wire meanwhile, each answered once."""
    s = HostStation(net, "bridge", reflecting=True)
    g = s.guests[0]
    ping = s.st.popen("ping", "-n", "-c", "150", "-i", "0.02", "-W", "2", g.ip4,
                      stdout=subprocess.PIPE, text=True)
    on_wire = {}
    for mode in ("bridge", "vepa", "private", "bridge"):
        s.evbd.evb(f"port set host mode {mode}")
        with RawPort(s.sw, "st0") as wire:
            time.sleep(0.4)
            on_wire[mode] = len([o for o in wire.receive_all() if o[:6] == mac_octets(g.mac)])
    out, _ = ping.communicate(timeout=20)
    assert on_wire["bridge"] == 0 and on_wire["vepa"] > 5 and on_wire["private"] > 5
    assert "DUP!" not in out
    answered = int(re.search(r"(\d+) received", out).group(1))
    assert 100 <= answered < 150, out.splitlines()[-3:]  # not while it was private


# ---- what happens to the device ----

def both_ways(s, a="host", b="g1"):
    return pings(s.who(), [(a, b), (b, a)]) == {(x, y, f) for x, y in ((a, b), (b, a))
                                                for f in (4, 6)}


def test_device_goes_and_returns(net):
    """Deleted, made again, renamed, given another address: the port says so, and works again."""
    s = HostStation(net, "bridge")
    s.st.ip("link del up0")
    p = s.evbd.wait_port("host", "DOWN")
    assert "up0 of the uplink is not there" in p["reason"] and "evb port show up0" in p["hint"]
    net.veth(s.st, "up0", s.sw, "st0")
    s.st.ip(f"addr add {HOST4}/24 dev up0", f"addr add {HOST6}/64 dev up0 nodad")
    s.evbd.wait_port("host", "UP")
    wait_for("they talk", lambda: both_ways(s))
    assert len(programs(s)) == 3
    s.st.ip("link set up0 name lan0")
    wait_for("the name is followed", lambda: s.evbd.port("host")["dev"] == "lan0")
    assert both_ways(s)
    s.st.ip("link set lan0 address 02:00:00:00:00:99")
    wait_for("the address is followed",
             lambda: s.evbd.port("host")["address"] == ["02:00:00:00:00:99"])
    s.guests[0].ns.ip("neigh flush dev eth0")
    assert both_ways(s)
    fdb = s.evbd.call("fdb.show", port="host")
    assert [e["mac"] for e in fdb] == ["02:00:00:00:00:99"]


def test_takes_an_address_that_a_guest_had(net):
    """A guest sent with an address that the device gets later: it is the host's then."""
    s = HostStation(net, "bridge")
    address, g = "02:00:00:00:00:99", s.guests[0]

    def owners():
        return [e["ifname"] for e in s.evbd.call("fdb.show") if e["mac"] == address]
    s.evbd.evb("port set g1 maclimit 4")
    with RawPort(g.ns, "eth0") as raw:
        raw.send(frame(BROADCAST, address, 7))
        wait_for("it is learned", lambda: owners() == ["g1"])
        s.st.ip(f"link set up0 address {address}")
        wait_for("it is the host's", lambda: owners() == ["host"])
        g.ns.ip("neigh flush dev eth0")
        assert both_ways(s)
        raw.send(frame(BROADCAST, address, 8))
        wait_for("it is refused", lambda: s.evbd.drops("g1").get("spoof", 0) == 1)
    assert owners() == ["host"]


def test_waits_for_its_device(net):
    """Configured before the device is there."""
    s = HostStation(net, "bridge", port=False)
    s.evbd.stop()
    s.st.ip("link del up0")
    s.evbd.config.write_text(s.config + "port add host bridge br0 host\n")
    s.evbd.start()
    assert s.evbd.port("host")["operstate"] == "DOWN"
    net.veth(s.st, "up0", s.sw, "st0")
    s.st.ip(f"addr add {HOST4}/24 dev up0", f"addr add {HOST6}/64 dev up0 nodad")
    s.guests[0].addresses()
    s.evbd.wait_port("host", "UP")
    wait_for("they talk", lambda: both_ways(s))


def test_standby_and_mtu(net):
    """Standby makes it absent; its MTU is that of the device."""
    s = HostStation(net, "bridge", mtu=4000)
    assert s.evbd.port("host")["mtu"] == 4000
    g = s.guests[0]
    s.st.run("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "3900", g.ip4)
    s.evbd.evb("port set host standby on")
    assert s.evbd.port("host")["operstate"] == "STANDBY"
    assert pings(s.who(), [("host", "g1")]) == set()
    assert s.evbd.call("fdb.show", port="host") == []
    s.evbd.evb("port set host standby off")
    assert both_ways(s)


def test_transactions(net):
    """Replaced by another port, and by one on another device, in one go; refused: as it was."""
    s = HostStation(net, "bridge")
    s.evbd.lost_ports = True
    net.veth(s.st, "up1", s.sw, "st1")
    s.evbd.evb("config load -", text="port del host\nport add self bridge br0 host\n")
    assert both_ways(s) and len(programs(s)) == 3
    with pytest.raises(AssertionError, match="no such network device"):
        s.evbd.evb("config load -", text="port del self\nport del up0\nport add up bridge br0 "
                   "packet none0 role uplink\nport add self bridge br0 host\n")
    assert both_ways(s) and len(programs(s)) == 3
    s.evbd.evb("config load -", text="port del self\nport del up0\nport add up bridge br0 "
               "packet up1 role uplink\nport add self bridge br0 host\n")
    s.st.ip(f"addr del {HOST4}/24 dev up0", f"addr del {HOST6}/64 dev up0",
            f"addr add {HOST4}/24 dev up1", f"addr add {HOST6}/64 dev up1 nodad")
    s.guests[0].ns.ip("neigh flush dev eth0")
    assert both_ways(s)
    assert {d for d, _ in programs(s) if d.startswith("up")} == {"up1"}


# ---- the host stays what it was ----

def test_firewall_and_capture(net):
    """Netfilter decides over frames of guests as over those from the wire, and sees no mark."""
    s = HostStation(net, "bridge")
    s.st.run("nft", "-f", "-", input="""
        define evbd = 0x65766264;
        table inet t {
          counter marked { }
          counter foreign { }
          chain in {
            type filter hook input priority 0;
            iifname != { lo, up0 } counter name foreign
            meta mark $evbd counter name marked
            ip saddr 10.0.0.1 icmp type echo-request ip length 128 drop
          }
          chain out { type filter hook output priority 0; meta mark $evbd counter name marked; }
          chain post {
            type filter hook postrouting priority 300; meta mark $evbd counter name marked;
          }
        }
        table netdev n {
          chain in { type filter hook ingress device up0 priority 0; meta mark $evbd counter; }
        }
        """)
    g = s.guests[0]
    with RawPort(s.st, "up0") as capture:
        assert both_ways(s)
        assert g.ns.run("ping", "-c", "1", "-W", "1", "-s", "100", HOST4,
                        check=False).returncode == 1
        seen = capture.receive_all()
    assert [o for o in seen if o[6:12] == mac_octets(g.mac)]
    rules = s.st.run("nft", "list", "ruleset").stdout
    for name in ("marked", "foreign"):
        assert re.search(rf"counter {name} {{\s+packets 0 bytes 0", rules), rules
    assert "meta mark 0x65766264 counter packets 0 bytes 0" in rules, rules


def test_other_addresses_of_the_host(net):
    """A macvlan of the host goes by the wire like any station, unless the port may learn it."""
    s = HostStation(net, "bridge")
    net.ns("mv").ip("link set lo up")
    s.st.ip(f"link add mv0 link up0 netns {net.spaces['mv'].name} type macvlan mode bridge")
    net.spaces["mv"].ip("addr add 10.0.0.60/24 dev mv0", "addr add fd00::60/64 dev mv0 nodad",
                        "link set mv0 up")
    who = {**s.who(), "mv": (net.spaces["mv"], "10.0.0.60", "fd00::60")}
    pairs = [("mv", "g1"), ("g1", "mv")]
    assert pings(who, [*pairs, ("mv", "out")]) == {("mv", "out", 4), ("mv", "out", 6)}
    assert both_ways(s)
    s.evbd.evb("port set host maclimit 4")
    wait_for("it is learned", lambda: len(pings(who, pairs)) == 4)
    assert both_ways(s)
    s.evbd.evb("port set host maclimit 0")
    s.evbd.evb(f"port set host mac {net.spaces['mv'].mac('mv0')}")
    wait_for("it is owned", lambda: len(pings(who, pairs)) == 4)


def test_vlans(net):
    """Tagged frames of the host on a trunk, past the wire, to the members of the VLAN only."""
    s = HostStation(net, "bridge", "bridge", "bridge")
    s.evbd.evb("port set g1 vlan 10")
    s.evbd.evb("port set g2 trunk 10,20")
    host, g1, g2 = s.st.mac("up0"), s.guests[0].mac, s.guests[1].mac
    ports = {g.name: RawPort(g.ns, "eth0") for g in s.guests}
    ports.update(host=RawPort(s.st, "up0"), wire=RawPort(s.sw, "st0"))

    def sent(sender, dst, src, tags=()):
        ports[sender].send(frame(dst, src, 7, tags=tags))
        return {(k, tag_of(o)) for k, list_ in settle(ports, 0.1).items() for o in list_}

    c10, c20 = ((C_TAG, 10),), ((C_TAG, 20),)
    assert sent("host", g1, host, c10) == {("wire", c10[0])}  # the host port is not a member
    assert sent("host", BROADCAST, host, c10) == {("wire", c10[0])}
    s.evbd.evb("port set host trunk 1,10 native 1")
    assert sent("host", g1, host, c10) == {("g1", None)}
    assert sent("host", g1, host) == {("wire", None)}
    assert sent("host", g2, host, c10) == {("g2", c10[0])}
    assert sent("host", g2, host, c20) == {("wire", c20[0])}
    assert sent("host", BROADCAST, host, c10) == {("g1", None), ("g2", c10[0]), ("wire", c10[0])}
    assert sent("host", BROADCAST, host) == {("g3", None), ("wire", None)}
    assert sent("g1", host, g1) == {("host", c10[0])}
    assert sent("g2", host, g2, c10) == {("host", c10[0])}
    assert sent("g2", host, g2, c20) == {("wire", c20[0])}
    assert sent("g1", BROADCAST, g1) == {("host", c10[0]), ("g2", c10[0]), ("wire", c10[0])}
    assert both_ways(s, "host", "g3")
    for p in ports.values():
        p.close()


def test_device_in_a_bridge_of_the_host(net):
    """Said clearly; with the address of that bridge the host is reached nevertheless."""
    s = HostStation(net, "bridge")
    s.st.ip("link add lan type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f"addr del {HOST4}/24 dev up0", f"addr del {HOST6}/64 dev up0",
            "link set lan address 02:00:00:00:00:55", "link set up0 master lan",
            "link set lan up", f"addr add {HOST4}/24 dev lan", f"addr add {HOST6}/64 dev lan nodad")
    p = wait_for("evbd knows", lambda: s.evbd.port("host").get("reason") and s.evbd.port("host"))
    assert "up0 is a port of lan" in p["reason"] and "make lan the uplink" in p["hint"]
    s.evbd.evb("port set host mac 02:00:00:00:00:55")
    assert both_ways(s)


def test_promiscuous_guest_and_second_bridge(net):
    """Who watches the wire does not take for the wire's what host and guests say to each other."""
    s = HostStation(net, "bridge", "bridge")
    s.evbd.evb("port set g2 promisc on")
    s.evbd.evb("bridge add br1")
    s.evbd.evb("port add up1 bridge br1 packet up0 role uplink")
    third = Guest(net, 3, mode="bridge")
    s.evbd.evb(third.line("br1"))
    third.addresses()
    with RawPort(s.guests[1].ns, "eth0") as watcher, RawPort(third.ns, "eth0") as other:
        assert both_ways(s)
        seen, heard = watcher.receive_all(), other.receive_all()
    host = mac_octets(s.st.mac("up0"))
    assert not [o for o in seen if {o[:6], o[6:12]} == {host, mac_octets(s.guests[0].mac)}]
    assert not [o for o in heard if o[6:12] == mac_octets(s.guests[0].mac)]
    with pytest.raises(AssertionError, match="the host on device up0 is port host of bridge br0"):
        s.evbd.evb("port add host1 bridge br1 host")
    who = {**s.who(), "g3": (third.ns, third.ip4, third.ip6)}
    assert pings(who, [("g3", "g1"), ("g1", "g3")]) == set()  # two stations on an ordinary bridge
    s.evbd.wait_port("up1", "UP")
