# SPDX-License-Identifier: Apache-2.0
"""The host port: the host's own stack on the uplink's device as a station of the relay.

The namespace `st` of the station is the host: evbd runs there, and its addresses are on up0.
"""
import ctypes
import itertools
import json
import re
import struct
import subprocess
import time

import pytest

from evblib import Guest, Refused, Station, in_netns, iperf, run, wait_for
from frames import RawPort

SYS_BPF, BPF_PROG_QUERY, TCX_INGRESS, TCX_EGRESS = 321, 16, 46, 47  # x86-64
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


@pytest.mark.parametrize("switch", ["evbd", "linux"])
@pytest.mark.parametrize("mode", ["bridge", "vepa", "private"])
def test_reachability(net, mode, switch):
    """Among the host, guests of each mode and the outside, in both address families."""
    s = HostStation(net, "bridge", "bridge", "vepa", "private", mode=mode, reflecting=True,
                    switch=switch)
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
