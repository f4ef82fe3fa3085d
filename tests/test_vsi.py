# SPDX-License-Identifier: Apache-2.0
"""VSIs (802.1Qbg): a station and a bridge over one wire; traffic passes only while they stand."""

import uuid

import pytest

from evblib import wait_for
from frames import BROADCAST, C_TAG, RawPort, frame, number_of, settle

G1, G2, S = "52:54:00:00:00:01", "52:54:00:00:00:02", "02:00:00:00:00:99"
ID1, ID2 = (str(uuid.UUID(int=n)) for n in (1 << 96, 2 << 96))


class Wire:
    """st: an edge bridge with guests g1 and g2; sw: a learning bridge; a server behind it.

    The guests are in VLAN 10 and 20, p1 of the bridge is under VDP control.
    """

    def __init__(self, net, station="", bridge="", start=True):
        self.net = net
        st, sw, gs, srv = net.ns("st", "sw", "gs", "srv")
        for ns in (st, sw, gs, srv):
            ns.silence()
        self.ns = {"st": st, "sw": sw}
        net.veth(st, "up0", sw, "p1")
        net.veth(sw, "p2", srv, "s0")
        for g in ("g1", "g2"):
            net.veth(st, g, gs, f"x{g}")
        self.station_text = (
            "bridge add br0 uplink up0\nport set up0 evb auto\n"
            f"port add g1 bridge br0 packet g1 mac {G1} vlan 10\n"
            f"port add g2 bridge br0 packet g2 mac {G2} vlan 20\n" + station)
        self.bridge_text = (
            "bridge add sw0 type learning\n"
            "port add p1 bridge sw0 packet p1 trunk 10,20,30 evb auto vdp on\n"
            "port add p2 bridge sw0 packet p2 trunk 10,20,30\n" + bridge)
        self.sockets = {"g1": RawPort(gs, "xg1"), "g2": RawPort(gs, "xg2"),
                        "s": RawPort(srv, "s0")}
        if start:
            self.bridge = net.evbd(sw, self.bridge_text, name="bridge")
            self.station = net.evbd(st, self.station_text, name="station")
            self.station.wait_port("up0", "UP")
            self.bridge.wait_port("p1", "UP")

    def vsi(self, evbd, ifname, instance=None):
        rows = [r for r in evbd.json("vsi show") if r["ifname"] == ifname and
                instance in (None, r["instance"])]
        return rows[0] if rows else {"state": "none"}

    def wait(self, ifname, state):
        wait_for(f"VSI of {ifname} is {state}: {self.vsi(self.station, ifname)}",
                 lambda: self.vsi(self.station, ifname)["state"] == state)
        return self.vsi(self.station, ifname)

    def arrives(self, key, to, octets, number):
        """Send a frame; does it arrive by now, or one like it that was sent before?"""
        self.sockets[key].send(octets)
        return any(number_of(o) == number for o in self.sockets[to].receive_all())

    def passes(self, guest, vid):
        """Both ways between a guest and the server, in VLAN `vid`."""
        mac = {"g1": G1, "g2": G2}[guest]
        tag = [(C_TAG, vid)]
        wait_for(f"{guest} reaches the server", lambda: self.arrives(
            guest, "s", frame(S, mac, 1), 1))
        wait_for(f"the server reaches {guest}", lambda: self.arrives(
            "s", guest, frame(mac, S, 2, tags=tag), 2))
        wait_for(f"broadcasts reach {guest}", lambda: self.arrives(
            "s", guest, frame(BROADCAST, S, 3, tags=tag), 3))

    def stopped(self, guest, vid):
        """The gate of the station stops the guest's frames, and nothing gets to either end."""
        mac = {"g1": G1, "g2": G2}[guest]
        for s in self.sockets.values():
            s.receive_all()
        before = self.station.drops(guest).get("vsi", 0)
        for number in (11, 12):
            self.sockets[guest].send(frame(BROADCAST if number == 12 else S, mac, number))
        self.sockets["s"].send(frame(mac, S, 13, tags=[(C_TAG, vid)]))
        self.sockets["s"].send(frame(BROADCAST, S, 14, tags=[(C_TAG, vid)]))
        wait_for(f"two frames of {guest} are stopped", lambda: self.station.drops(guest).get(
            "vsi", 0) >= before + 2)
        got = settle({guest: self.sockets[guest], "s": self.sockets["s"]}, 0.1)
        assert not [number_of(o) for frames in got.values() for o in frames]


VSI1 = f"vsi add g1 type 5 instance {ID1}\n"
VSI2 = f"vsi add g2 type 5 version 1 manager 7 instance {ID2}\n"


@pytest.fixture
def wire(net):
    return Wire(net, VSI1, "vsitype add 5 vlan 10\n")


def test_traffic_passes_while_it_stands(net, wire):
    """Made, ended by the type, refused, made again; gone with the VSI, and the port is free."""
    row = wire.wait("g1", "associated")
    assert row["open"] and row["uplink"] == "up0" and row["filters"] == [f"{G1}/10"]
    there = wire.vsi(wire.bridge, "p1", ID1)
    assert (there["state"], there["role"], there["filters"]) == ("associated", "bridge",
                                                                 [f"{G1}/10"])
    wire.passes("g1", 10)
    wire.bridge.evb("vsitype set 5 vlan 20")
    wait_for("revoked", lambda: wire.vsi(wire.bridge, "p1") == {"state": "none"}, timeout=1)
    wait_for("the station knows", lambda: wire.vsi(wire.station, "g1")["state"] == "waiting",
             timeout=1)
    wire.stopped("g1", 10)
    wait_for("refused", lambda: "VLAN" in wire.vsi(wire.station, "g1").get("reason", ""))
    wire.bridge.evb("vsitype set 5 vlan 10,20")
    wire.wait("g1", "associated")
    wire.passes("g1", 10)
    wire.station.evb("vsi del g1")
    wait_for("ended", lambda: wire.vsi(wire.bridge, "p1") == {"state": "none"})
    assert wire.station.json("vsi show") == []
    wire.sockets["g1"].send(frame(S, G1, 21))
    wait_for("the bridge stops what is not associated",
             lambda: wire.bridge.drops("p1").get("vsi", 0) >= 1)
