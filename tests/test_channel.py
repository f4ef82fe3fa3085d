# SPDX-License-Identifier: Apache-2.0
"""Several ports on one wire, each with an S-tag of its own: by hand (svlan), or as CDCP agrees.

        a ── br0 ── up0 ═╗                        ╔═ st0 ── sw0 ── x
                         ╠═ up0 ═ one wire ═ st0 ═╣
        b ── br1 ── u1 ══╝                        ╚═ s1 ─── sw1 ── y
"""
import pytest

from evblib import in_netns, run, wait_for
from frames import S_TAG, RawPort, tag_of

MAC, FAR = "02:00:00:00:00:01", "02:00:00:00:00:99"
NEAR_IP, FAR_IP = "10.0.0.1", "10.0.0.99"


class Wire:
    """Two daemons, two bridges each. The same addresses are behind both."""

    def __init__(self, net, station, bridge, default="", far_default=""):
        self.net = net
        self.st, self.sw = net.ns("st", "sw")
        self.st.silence()
        self.sw.silence()
        net.veth(self.st, "up0", self.sw, "st0")
        self.guest = {name: net.ns(name) for name in "abxy"}
        self.config = {
            "station": "bridge add br0 uplink up0\n"
            f"{default}bridge add br1\nport add u1 bridge br1 packet up0 role uplink {station}\n"
            + self.tap("a", "br0", MAC) + self.tap("b", "br1", MAC),
            "bridge": "bridge add sw0 type learning\nbridge add sw1 type learning\n"
            f"port add st0 bridge sw0 packet st0 {far_default}\n"
            f"port add s1 bridge sw1 packet st0 {bridge}\n"
            + self.tap("x", "sw0", FAR) + self.tap("y", "sw1", FAR)}
        self.station = net.evbd(self.st, self.config["station"], name="station")
        self.bridge = net.evbd(self.sw, self.config["bridge"], name="bridge")
        for name, ns in self.guest.items():
            near = name in "ab"
            ns.silence()
            ns.ip(f"link set eth0 address {MAC if near else FAR}",
                  f"addr replace {NEAR_IP if near else FAR_IP}/24 dev eth0", "link set eth0 up")

    def tap(self, name, bridge, mac):
        return (f"port add {name} bridge {bridge} tap netns {self.guest[name].name} name eth0 "
                f"mac {mac}\n")

    def ping(self, name):
        return run(["ip", "netns", "exec", self.guest[name].name, "ping", "-n", "-q", "-c", "1",
                    "-W", "1", FAR_IP], check=False).returncode == 0

    def wait_ping(self, name, works=True):
        wait_for(f"{name} {'reaches' if works else 'does not reach'} its peer",
                 lambda: self.ping(name) == works)

    def tags(self, name):
        """The outermost tags of what the guest sends, as they are on the wire."""
        with RawPort(self.sw, "st0") as wire:
            self.ping(name)
            seen = {tag_of(o) for o in wire.receive_all() if o[6:12] == bytes.fromhex(
                MAC.replace(":", ""))}
        return seen

    def counts(self, evbd, port):
        s = evbd.port(port, stats=True)["stats64"]
        return s["rx"]["packets"], s["tx"]["packets"]


def test_two_bridges_by_hand(net):
    """S-tags by hand: the wire is two wires, and what is in one does not come into the other."""
    w = Wire(net, "svlan 100", "svlan 100")
    for name in "ab":
        w.wait_ping(name)
    assert w.tags("a") == {None}
    assert w.tags("b") == {(S_TAG, 100)}
    before = {p: w.counts(w.bridge, p) for p in ("x", "y", "st0", "s1")}
    assert w.ping("b")
    after = {p: w.counts(w.bridge, p) for p in before}
    assert before["x"] == after["x"] and before["st0"] == after["st0"]
    assert before["y"] != after["y"] and before["s1"] != after["s1"]
    assert w.bridge.port("s1")["mtu"] == w.station.port("b")["mtu"] == 1492
    w.bridge.evb("port set s1 svlan 101")
    w.wait_ping("b", works=False)
    assert w.ping("a")
    w.station.evb("port set u1 svlan 101")
    w.wait_ping("b")
    assert w.tags("b") == {(S_TAG, 101)}
    w.bridge.lost_ports = True
    before = w.bridge.drops("st0").get("vlan", 0)
    w.bridge.evb("port del s1")  # alone on its device, a port counts what is not its own
    assert not w.ping("b")
    assert w.bridge.drops("st0").get("vlan", 0) > before
    assert w.ping("a")
