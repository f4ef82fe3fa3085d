# SPDX-License-Identifier: Apache-2.0
"""VSIs (802.1Qbg): a station and a bridge over one wire; traffic passes only while they stand."""
import shutil
import subprocess
import time
import uuid

import pytest

from evblib import Rpc, run, wait_for
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

    def start_captured(self):
        """Both ends; what they say to each other goes to a file: (file, process)."""
        pcap = self.net.dir / "wire.pcap"
        capture = self.ns["sw"].popen(
            "tcpdump", "-i", "p1", "-w", pcap, "-U", "-s", "0", "ether proto 0x88b7 or ether proto "
            "0x88cc or ether proto 0x8940", stderr=subprocess.DEVNULL)
        wait_for("the capture", pcap.exists)
        self.bridge = self.net.evbd(self.ns["sw"], self.bridge_text, name="bridge")
        self.station = self.net.evbd(self.ns["st"], self.station_text, name="station")
        return pcap, capture

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

    def exchange(self, ends, sent, wanted):
        """Send (key, frame)s; what each of `ends` has got once it has the `wanted` numbers."""
        for s in ends.values():
            s.receive_all()
        for key, octets in sent:
            ends[key].send(octets)
        got = {key: set() for key in ends}

        def look():
            for key, s in ends.items():
                got[key] |= {number_of(o) for o in s.receive_all()} - {None}
            return all(numbers <= got[key] for key, numbers in wanted.items())
        wait_for(f"{wanted} arrive", look)
        for key, frames in settle(ends, 0.1).items():
            got[key] |= {number_of(o) for o in frames}
        return got

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


def test_refusals_say_why(net):
    """Unknown types, versions and VLANs; once the type allows it, it stands by itself."""
    w = Wire(net, VSI1 + VSI2, "vsitype add 5 version 1 manager 8 vlan all\n")

    def reason(guest, *words):
        def says():
            row = w.vsi(w.station, guest)
            return all(word in row.get("reason", "") for word in words) and row
        return wait_for(f"{guest}: {words}, not {w.vsi(w.station, guest)}", says)
    for guest in ("g1", "g2"):
        row = reason(guest, "refused", "type")
        assert not row["open"] and "vsitype" in row["hint"]
        w.stopped(guest, 10)
    w.bridge.evb("vsitype add 5 version 1 vlan 30")  # of any manager, 8 aside
    reason("g2", "refused", "VLAN")
    w.bridge.evb("vsitype set 5 version 1 vlan 20-30 mac 52:54:00:00:00:77")
    reason("g2", "refused", "address")
    w.bridge.evb(f"vsitype set 5 version 1 mac {G2}")
    w.wait("g2", "associated")
    w.passes("g2", 20)
    w.stopped("g1", 10)
    # In the table that people read, too, with counters of the link.
    shown = w.station.evb("vsi show", options=["-s"]).stdout
    assert "the bridge refused it: it does not allow VSIs of the type" in shown
    assert "vdp: requests" in shown and "ecp: sent" in shown
    # The bridge tells of what it refused last, until it has accepted that.
    refused = [r for r in w.bridge.json("vsi show", options=["-s"]) if r["state"] == "refused"]
    assert [(r["ifname"], r["instance"], r["open"]) for r in refused] == [("p1", ID1, False)]
    assert "no such type" in refused[0]["reason"] and "vsitype add" in refused[0]["hint"]
    assert "s ago" in w.bridge.evb("vsi show", options=["-s"]).stdout
    assert "refused" not in w.bridge.evb("vsi show").stdout
    w.bridge.evb("port set p1 vdp off")
    assert "evb port set ... vdp on" in w.bridge.evb("vsi show").stdout
    w.bridge.evb("port set p1 vdp on")
    assert w.bridge.json("port show p1")[0]["vdp"] and "hint" not in w.bridge.json("vsi show")[0]
    w.wait("g2", "associated")
    stats = w.station.json("vsi show g2", options=["-s"])[0]["stats"]
    assert stats["vdp"]["responses"] >= 3 and stats["ecp"]["received"] >= 3
    assert w.bridge.json("vsi show", options=["-s"])[0]["stats"]["vdp"]["refused"] >= 4
    for d in (w.station, w.bridge):
        d.assert_conserved()


def test_the_pause_begins_anew(net):
    """What is refused is asked for more and more rarely; what stood meanwhile, soon again."""
    w = Wire(net, VSI1)

    def retry():
        return w.vsi(w.station, "g1").get("retry", 0)
    wait_for("the pause grows", lambda: retry() > 2)
    w.bridge.evb("vsitype add 5 vlan 10")
    w.wait("g1", "associated")
    assert not retry()
    w.bridge.evb("vsitype del 5")
    wait_for("it ended", lambda: 0 < retry())
    assert retry() <= 1


def test_a_hard_refusal_is_obeyed(net):
    """The bridge wants to be asked no more: it is not, until something changes at the station."""
    w = Wire(net, VSI1, "vsitype add 5 vlan 20 refusal hard\n")

    def asked():
        return w.station.json("vsi show", options=["-s"])[0]["stats"]["vdp"]["requests"]
    row = w.wait("g1", "refused")
    assert not row["open"] and "retry" not in row and "VLAN" in row["reason"]
    assert "is asked again when" in row["hint"]
    before = asked()
    w.stopped("g1", 10)
    w.bridge.evb("vsitype set 5 vlan 10,20")
    time.sleep(3)  # who is refused softly asks again after one second, and after two more
    assert asked() == before and w.vsi(w.station, "g1")["state"] == "refused"
    w.station.evb("vsi set g1 hint migrate")
    w.wait("g1", "associated")
    w.passes("g1", 10)
    # A change is refused, hard, and what stood is kept.
    w.station.evb("port set g1 vlan 30")
    row = wait_for("refused", lambda: "refused the change" in w.vsi(
        w.station, "g1").get("reason", "") and w.vsi(w.station, "g1"))
    assert row["state"] == "associated" and row["filters"] == [f"{G1}/10"]
    w.bridge.evb("vsitype set 5 vlan all refusal soft")
    assert "refusal" not in w.bridge.evb("config show").stdout
    w.station.ns.ip("link set up0 down")
    w.station.wait_port("up0", "DOWN", "LOWERLAYERDOWN")
    w.station.ns.ip("link set up0 up")
    wait_for("asked again by a new link", lambda: w.vsi(w.station, "g1").get("filters") == [
        f"{G1}/30"])
    w.wait("g1", "associated")
    w.passes("g1", 30)


@pytest.mark.parametrize("station, bridge", [("draft", "auto"), ("auto", "draft"),
                                             ("draft", "draft")])
def test_drafts(net, station, bridge):
    """EVB 0.x and VDP 0.2 from our station: made, revoked, refused, made again, kept alive."""
    w = Wire(net, VSI1 + f"port set up0 evb {station} evb-rka 16\n",
             f"vsitype add 5 vlan 10\nport set p1 evb {bridge} evb-rka 16\n", start=False)
    pcap, capture = w.start_captured()
    w.wait("g1", "associated")
    wait_for("a draft", lambda: [d.call("evb.show")[0]["generation"] for d in (
        w.station, w.bridge)] == ["draft", "draft"])
    w.wait("g1", "associated")
    w.passes("g1", 10)
    w.bridge.evb("vsitype set 5 vlan 20")
    wait_for("not any more", lambda: not w.vsi(w.station, "g1")["open"])
    w.stopped("g1", 10)
    wait_for("refused", lambda: "refused" in w.vsi(w.station, "g1").get("reason", ""))
    w.bridge.evb("vsitype set 5 vlan 10")
    w.wait("g1", "associated")
    w.passes("g1", 10)
    w.station.evb("vsi del g1")
    wait_for("ended", lambda: w.vsi(w.bridge, "p1") == {"state": "none"})
    w.station.evb(VSI1.strip())
    w.wait("g1", "associated")
    if (station, bridge) == ("draft", "draft"):  # it takes a while, with their fixed times
        w.station.kill()
        wait_for("the bridge lets go", lambda: w.bridge.json("vsi show") == [])
    capture.terminate()
    capture.wait()
    shown = run(["tshark", "-r", pcap, "-V"], timeout=60).stdout
    assert "alformed" not in shown
    fields = run(["tshark", "-r", pcap, "-Y", "ecp", "-T", "fields", "-e", "ecp.vdp.mode"],
                 timeout=60).stdout.split()
    assert {"2", "3"} <= {str(int(m, 0)) for m in fields}  # associate, de-associate


def test_the_bridge_chooses_the_vlan(net):
    """VID 0: the default VLAN of the type, which the port is then in, and keeps."""
    w = Wire(net, VSI1.strip() + " vlan 0\n", "vsitype add 5 vlan 20,30 default-vlan 30\n")
    assert w.wait("g1", "associated")["filters"] == [f"{G1}/30"]
    w.passes("g1", 30)
    w.bridge.evb("vsitype set 5 default-vlan 20")  # what was chosen stays
    w.passes("g1", 30)
    assert w.vsi(w.bridge, "p1")["filters"] == [f"{G1}/30"]
    w.bridge.evb("vsitype set 5 vlan 20")
    wait_for("the other VLAN", lambda: w.vsi(w.station, "g1").get("filters") == [f"{G1}/20"])
    w.wait("g1", "associated")
    w.passes("g1", 20)


def test_a_trunk(net):
    """Its VSI is in all of its VLANs; the bridge can choose one for an access port only."""
    w = Wire(net, VSI1 + "port set g1 trunk 10,30\n", "vsitype add 5 default-vlan 20\n")
    assert w.wait("g1", "associated")["filters"] == [f"{G1}/10", f"{G1}/30"]
    for vid in (10, 30):
        tag = [(C_TAG, vid)]
        wait_for(f"the server, in VLAN {vid}", lambda n=vid, t=tag: w.arrives(
            "g1", "s", frame(S, G1, n, tags=t), n))
        wait_for(f"the guest, in VLAN {vid}", lambda n=vid, t=tag: w.arrives(
            "s", "g1", frame(G1, S, n, tags=t), n))
    p = w.station.evb("vsi set g1 vlan 0", check=False)
    assert p.returncode and "the bridge chooses one VLAN, and the port is a trunk" in p.stderr
    assert "vlan none" in p.stderr and "evb port set g1 vlan VID" in p.stderr
    assert w.vsi(w.station, "g1")["open"]
    w.station.evb("vsi del g1")
    w.station.evb("port set g1 vlan 10")
    w.station.evb(VSI1.strip() + " vlan 0")
    assert w.wait("g1", "associated")["filters"] == [f"{G1}/20"]
    w.passes("g1", 20)
    p = w.station.evb("port set g1 trunk 10,30", check=False)
    assert p.returncode and "the port is a trunk" in p.stderr


def test_vlans_as_a_whole(net):
    """filter vid: every address of the VLAN passes at the bridge, and is learned there."""
    w = Wire(net, VSI1.strip() + " filter vid\n", "vsitype add 5\n")
    assert w.wait("g1", "associated")["filters"] == ["10"]
    w.passes("g1", 10)
    w.station.evb("port set g1 maclimit 1")
    wait_for("another address of the guest", lambda: w.arrives(
        "g1", "s", frame(S, "52:54:00:00:00:55", 5), 5))
    assert any(e["mac"] == "52:54:00:00:00:55" and e["ifname"] == "p1"
               for e in w.bridge.json("fdb show"))


def test_pre_associated_is_not_enough(net):
    w = Wire(net, VSI1.strip() + " request pre-associate-rr hint migrate\n",
             "vsitype add 5 vlan 10\n")
    assert not w.wait("g1", "pre-associate-rr")["open"]
    w.stopped("g1", 10)
    w.station.evb("vsi set g1 request associate hint none")
    w.wait("g1", "associated")
    w.passes("g1", 10)
    w.station.evb("vsi set g1 request pre-associate")  # less than stands: from the start
    w.wait("g1", "pre-associate")
    w.stopped("g1", 10)


def test_changes_under_way(net, wire):
    """Another type, VLAN or ID is asked for at once; a refused change ends what stood or not."""
    wire.wait("g1", "associated")
    wire.bridge.evb("vsitype add 6 vlan 20")
    wire.station.evb("port set g1 vlan 20")
    wait_for("refused, and what stood is kept",
             lambda: "refused the change" in wire.vsi(wire.station, "g1").get("reason", ""))
    wire.station.evb("vsi set g1 type 6")
    wait_for("the other type", lambda: wire.vsi(wire.bridge, "p1").get("type") == 6)
    wire.wait("g1", "associated")
    wire.passes("g1", 20)
    wire.station.evb(f"vsi set g1 instance {ID2}")
    wait_for("the other ID, and not the first one", lambda: [
        r["instance"] for r in wire.bridge.json("vsi show")] == [ID2])
    wire.wait("g1", "associated")
    wire.passes("g1", 20)
    wire.station.evb("port del g1")
    wire.station.lost_ports = True
    wait_for("gone with its port", lambda: wire.bridge.json("vsi show") == [])


def test_each_end_begins_anew(net, wire):
    """A bridge that was restarted is asked again; one whose station was killed lets go of it."""
    wire.wait("g1", "associated")
    wire.bridge.stop()
    wire.bridge.start()
    wait_for("associated at the new bridge",
             lambda: wire.vsi(wire.bridge, "p1")["state"] == "associated")
    stats = wire.station.json("vsi show", options=["-s"])[0]["stats"]
    assert stats["vdp"].get("keep_alives", 0) == 0  # it did not take one to find out
    wire.passes("g1", 10)


def test_the_bridge_lets_go(net):
    """Of what it hears no more of, after the time that both agreed upon."""
    values = "evb-rka 16 evb-rte 10 evb-retries 1\n"  # 0.7 s, 10 ms
    wire = Wire(net, VSI1 + "port set up0 " + values, "vsitype add 5\nport set p1 " + values)
    wire.wait("g1", "associated")
    wait_for("keep-alives", lambda: wire.station.json("vsi show", options=["-s"])[0]["stats"][
        "vdp"].get("keep_alives", 0) > 3)
    wire.passes("g1", 10)
    wire.station.kill()
    wait_for("the bridge lets go", lambda: wire.bridge.json("vsi show") == [])
    wire.station.socket.unlink()
    wire.station.start()
    wire.wait("g1", "associated")
    wire.passes("g1", 10)


def test_without_evb(net):
    """Nobody to ask: the port stays closed, and says what to do."""
    w = Wire(net, VSI1 + "port set up0 evb off\n")
    row = w.wait("g1", "idle")
    assert "EVB" in row["reason"] and row["hint"] == "evb port set up0 evb auto"
    w.stopped("g1", 10)
    w.bridge.evb("vsitype add 5")
    w.station.evb("port set up0 evb auto")
    w.wait("g1", "associated")
    w.passes("g1", 10)
    w.station.ns.ip("link set up0 down")
    w.station.wait_port("up0", "DOWN", "LOWERLAYERDOWN")
    w.station.ns.ip("link set up0 up")
    w.station.wait_port("up0", "UP")
    w.wait("g1", "associated")
    w.passes("g1", 10)


def test_rates_of_types(net):
    """Of two VSIs on a port one floods, and the other has all of its rate, both ways."""
    w = Wire(net, VSI1 + VSI2, "vsitype add 5 rate-in 8kbit pps-out 2\n"
             "vsitype add 5 version 1 rate-in 800mbit pps-out 5000\nport set p1 rate-out 1gbit\n")

    def dropped(instance):
        row = [r for r in w.bridge.json("vsi show", options=["-s"]) if r["instance"] == instance][0]
        return row["stats"]["dropped"]

    def exchange(first, flood=200):
        """The guests send to the server and it to them: numbers that arrive, by receiver."""
        got = {"s": set(), "g1": set(), "g2": set()}
        for n in range(first, first + flood):
            w.sockets["g1"].send(frame(S, G1, n, size=1000))
            w.sockets["s"].send(frame(G1, S, n, size=1000, tags=[(C_TAG, 10)]))
            if n % 4 == 3:
                w.sockets["g2"].send(frame(S, G2, 1000 + n, size=1000))
                w.sockets["s"].send(frame(G2, S, 1000 + n, size=1000, tags=[(C_TAG, 20)]))
        last = 1000 + first + flood - 1

        def arrived():
            for key, numbers in got.items():
                numbers |= {number_of(o) for o in w.sockets[key].receive_all()}
            return last in got["s"] and last in got["g2"]
        wait_for("the last ones", arrived)
        return got, {1000 + n for n in range(first + 3, first + flood, 4)}

    w.wait("g1", "associated")
    w.wait("g2", "associated")
    w.passes("g2", 20)
    got, of_g2 = exchange(100)
    assert of_g2 <= got["s"] and of_g2 <= got["g2"]
    here, there = dropped(ID1), dropped(ID2)
    assert here["rate"] > 100 and here["rate_out"] > 100 and not any(there.values())
    drops = w.bridge.drops("p1")
    assert (drops["rate"], drops["rate_out"]) == (here["rate"], here["rate_out"])
    row = w.bridge.json("vsi show", options=["-s"])
    assert [r["stats"]["limits"] for r in row if r["instance"] == ID1] == [
        {"rate-in": 8000, "pps-out": 2}]
    # Groups count for the port alone, and a change elsewhere leaves the buckets as they are.
    w.sockets["s"].send(frame(BROADCAST, S, 9, tags=[(C_TAG, 10)]))
    wait_for("a broadcast", lambda: 9 in map(number_of, w.sockets["g1"].receive_all()))
    w.bridge.evb("vsitype add 6 vlan 30")
    w.bridge.evb("port set p2 maclimit 100")
    exchange(400, 12)
    assert dropped(ID1)["rate"] >= here["rate"] + 6
    # A changed type is in force when that is answered.
    w.bridge.evb("vsitype set 5 rate-in none pps-out 5000")
    got, _ = exchange(500)
    assert set(range(500, 700)) <= got["s"] and set(range(500, 700)) <= got["g1"]
    w.bridge.evb("vsitype set 5 version 1 pps-in 1")
    before = dropped(ID2)["rate"]
    for n in range(60):
        w.sockets["g2"].send(frame(S, G2, n))
    wait_for("the new limit", lambda: dropped(ID2)["rate"] >= before + 30)
    for d in (w.station, w.bridge):
        d.assert_conserved()


def side_by_side(net, bridge, types="", guests=""):
    """Two VSIs in VLAN 10, of types of their own, once both stand."""
    w = Wire(net, VSI1 + VSI2 + types + "port set g2 vlan 10\n" + guests,
             "vsitype add 5\nvsitype add 5 version 1\n" + bridge)
    w.wait("g1", "associated")
    w.wait("g2", "associated")
    return w


def test_private_types_are_not_reflected(net):
    """Nor is what others behind the port have for them; to other ports all goes as ever."""
    w = side_by_side(net, "port set p1 reflective-relay on\n")
    wait_for("the bridge reflects", lambda: w.station.json("bridge show")[0]["reflection"] == "on")
    macs = {"g1": G1, "g2": G2, "s": S}

    def arrives(number, sender, dst, *to):
        """At these, and nobody else; a later frame to the server says that it is over."""
        wanted = {"s": {number + 1}}
        for key in to:
            wanted.setdefault(key, set()).add(number)
        got = w.exchange(w.sockets, [
            (sender, frame(macs.get(dst, BROADCAST), macs[sender], number)),
            (sender, frame(S, macs[sender], number + 1))], wanted)
        assert sorted(to) == sorted(key for key in got if number in got[key]), number
    w.passes("g1", 10)
    w.passes("g2", 10)
    arrives(100, "g1", "g2", "g2")
    arrives(110, "g1", "all", "g2", "s")
    w.bridge.evb("vsitype set 5 mode private")  # in force when that is answered
    before = w.bridge.drops("p1").get("private", 0)
    arrives(120, "g1", "g2")
    arrives(130, "g2", "g1")
    assert w.bridge.drops("p1")["private"] == before + 2
    arrives(140, "g1", "all", "s")
    arrives(150, "g2", "all", "g1", "s")
    w.passes("g1", 10)
    w.bridge.evb("vsitype set 5 mode bridge")  # says nothing here
    arrives(160, "g1", "g2", "g2")
    w.bridge.evb("vsitype set 5 version 1 mode private")
    arrives(170, "g1", "g2")
    arrives(180, "g2", "g1")
    w.bridge.evb("vsitype set 5 version 1 mode none")
    arrives(190, "g2", "g1", "g1")
    for d in (w.station, w.bridge):
        d.assert_conserved()


def test_the_mode_follows_the_type(net):
    """At the station: of the type while the port has the VSI, its own before and after."""
    types = "vsitype add 5 mode bridge\nvsitype add 5 version 1 mode bridge\n"
    w = side_by_side(net, "", types, "port set g1 mode private\n")

    def local(number):
        """Does g2 get what g1 has for it? The adjacent bridge does not reflect."""
        got = w.exchange(w.sockets, [("g1", frame(G2, G1, number)),
                                     ("g1", frame(S, G1, number + 1))], {"s": {number + 1}})
        return number in got["g2"]

    def shown():
        row = w.station.json("port show g1")[0]
        return row["mode"], row.get("own-mode"), row.get("vsitype")
    w.passes("g1", 10)
    assert shown() == ("bridge", "private", {"id": 5, "version": 0}) and local(100)
    for words in ("port show", "port show g1"):
        assert "VSI type 5 says mode bridge, its own is private" in w.station.evb(words).stdout
    rpc = Rpc(w.station.socket)
    rpc.call("monitor.subscribe", kinds=["mode"])
    w.station.evb("vsitype set 5 mode vepa")
    e = rpc.next_event()
    assert (e["ifname"], e["from"], e["to"]) == ("g1", "bridge", "vepa")
    rpc.close()
    assert not local(110)
    w.station.evb("port set g1 mode bridge")
    assert shown() == ("vepa", "bridge", {"id": 5, "version": 0}) and not local(120)
    w.station.evb("vsitype set 5 mode none")
    assert shown() == ("bridge", None, None) and local(130)
    w.station.evb("vsitype set 5 mode private")
    assert not local(140)
    before = w.station.evb("config show").stdout
    p = w.station.evb("vsitype set 5 mode passthru", check=False)
    assert p.returncode and "g1: vlan does not go with mode passthru of its VSI type" in p.stderr
    assert w.station.evb("config show").stdout == before and not local(150)
    w.station.config.write_text(before)
    w.station.stop()
    w.station.start()
    assert w.station.evb("config show").stdout == before
    w.wait("g1", "associated")
    w.wait("g2", "associated")
    w.passes("g1", 10)
    assert shown() == ("private", "bridge", {"id": 5, "version": 0}) and not local(160)
    w.station.evb("vsi del g1")
    assert shown() == ("bridge", None, None)


def test_reserved_addresses_follow_the_type(net):
    """802.1X and LLDP of the guest pass, or do not, as the type says."""
    w = side_by_side(net, "", "vsitype add 5 reserved 8\n", "port set g1 reserved 0x4000\n")
    eapol, lldp = ("01:80:c2:00:00:03", 0x888E), ("01:80:c2:00:00:0e", 0x88CC)
    wire = RawPort(w.ns["sw"], "p1")

    def passes(what, number):
        """To the wire, and from there to g1? A frame of any other kind does both."""
        got = w.exchange({"g1": w.sockets["g1"], "wire": wire}, [
            ("g1", frame(what[0], G1, number, ethertype=what[1])),
            ("g1", frame(S, G1, number + 1)),
            ("wire", frame(what[0], S, number + 2, ethertype=what[1])),
            ("wire", frame(G1, S, number + 3, tags=[(C_TAG, 10)]))],
            {"wire": {number + 1}, "g1": {number + 3}})
        return number in got["wire"], number + 2 in got["g1"]
    w.passes("g1", 10)
    assert passes(eapol, 100) == (True, True) and passes(lldp, 110) == (False, False)
    row = w.station.json("port show g1")[0]
    assert (row["reserved"], row["own-reserved"], row["vsitype"]["id"]) == (8, 0x4000, 5)
    w.station.evb("vsitype set 5 reserved 0")
    assert passes(eapol, 120) == (False, False) == passes(lldp, 130)
    w.station.evb("vsitype set 5 reserved none")
    assert passes(eapol, 140) == (False, False)
    assert passes(lldp, 150) == (True, False)  # what comes is for the agents of the uplink
    # A bridge relays none, whatever its type says (802.1Q-2022 8.6.3).
    w.bridge.evb("vsitype set 5 reserved 8")
    w.station.evb("vsitype set 5 reserved 8")
    before = w.bridge.drops("p1").get("control", 0)
    w.sockets["s"].receive_all()
    assert passes(eapol, 160) == (True, True)
    wait_for("stopped there", lambda: w.bridge.drops("p1").get("control", 0) > before)
    assert not any(number_of(o) == 160 for o in w.sockets["s"].receive_all())
    wire.close()


def test_events(net, wire):
    wire.wait("g1", "associated")
    rpc = {d: Rpc(d.socket) for d in (wire.station, wire.bridge)}
    for r in rpc.values():
        r.call("monitor.subscribe", kinds=["vsi"])
    wire.bridge.evb("vsitype set 5 vlan 20")
    e = rpc[wire.bridge].next_event()
    assert (e["ifname"], e["instance"], e["from"], e["to"]) == ("p1", ID1, "associate", "none")
    e = rpc[wire.station].next_event()
    assert (e["ifname"], e["from"], e["to"]) == ("g1", "associated", "waiting")
    assert e["reason"] == "the bridge ended it"
    e = rpc[wire.bridge].next_event()
    assert (e["from"], e["to"], e["reason"]) == ("asked", "refused", "invalid-filter")
    for r in rpc.values():
        r.close()


WRONG = [
    (f"vsi add g2 type 5 instance {ID1}", f"port g1 has VSI {ID1} already"),
    (f"vsi add g1 type 5 instance {ID2}", "it has a VSI already"),
    (f"vsi add up0 type 5 instance {ID2}", "a VSI is of a station port"),
    ("vsi add g2 type 5 instance 12", "12 is no instance ID"),
    ("vsi add g2 type 5", "instance"),
    (f"vsi add g2 type 16777216 instance {ID2}", "type"),
    ("vsi set g2 type 6", "the port has no VSI"),
    ("vsi del g2", "the port has no VSI"),
    ("vsi show g9", "no such port"),
    ("vsitype set 9 vlan 1", "there is no such type"),
    ("vsitype add 5 vlan 10 default-vlan 11", "default-vlan 11 is not one of its VLANs"),
    ("vsitype add 5 mode passthru", "g1: vlan does not go with mode passthru of its VSI type"),
    ("vsitype add 5 mode source", "the port has no sources"),
    ("vsitype add 5 reserved 65536", "reserved"),
    ("port set g1 mac none", "a VSI needs an address"),
    ("port set g1 vdp on", "vdp does not apply to a station port"),
]


def test_wrong_commands_change_nothing(net, wire):
    wire.wait("g1", "associated")
    before = wire.station.evb("config show").stdout
    for words, text in WRONG:
        p = wire.station.evb(words, check=False)
        assert p.returncode and text in p.stderr, f"{words}: {p.stderr}"
    assert wire.station.evb("config show").stdout == before
    assert wire.vsi(wire.station, "g1")["state"] == "associated"
    wire.passes("g1", 10)


def test_configuration_comes_back(net):
    """`config show` has VSIs and types with all that they were given."""
    extra = VSI1.strip() + " vlan 0 hint migrate\n" + VSI2
    types = ("vsitype add 5 vlan 10,30 default-vlan 30 rate-in 1mbit mode private reserved 0\n"
             f"vsitype add 5 version 1 manager 7 vlan 20 mac {G2} rate-out 2gbit pps-in 5 "
             "mode vepa\n")
    w = Wire(net, extra, types)
    w.wait("g1", "associated")
    w.wait("g2", "associated")
    shown = w.bridge.evb("config show").stdout
    assert all(line in shown for line in types.splitlines())
    w.station.config.write_text(w.station.evb("config show").stdout)
    w.bridge.config.write_text(shown)
    for d in (w.station, w.bridge):
        text = d.evb("config show").stdout
        d.stop()
        d.start()
        assert d.evb("config show").stdout == text
    w.wait("g1", "associated")
    w.passes("g1", 30)


def test_many_vsis(net):
    """200 guests on memory ports, associated within the time that packed PDUs need."""
    st, sw = net.ns("st", "sw")
    net.veth(st, "up0", sw, "p1")
    text = "bridge add br0 uplink up0\nport set up0 evb auto\n"
    for n in range(200):
        mac = f"52:54:00:00:01:{n:02x}"
        text += (f"port add m{n} bridge br0 memory mac {mac} vlan {2 + n}\n"
                 f"vsi add m{n} type 5 instance {uuid.UUID(int=n + 1)}\n")
    bridge = net.evbd(sw, "bridge add sw0 type learning\nvsitype add 5\n"
                      "port add p1 bridge sw0 packet p1 trunk all evb auto vdp on\n", name="bridge")
    station = net.evbd(st, text, name="station")

    def count(evbd):
        return [r["state"] for r in evbd.call("vsi.show")].count("associated")
    wait_for("all of them stand", lambda: count(station) == 200 == count(bridge))
    bridge.evb("vsitype set 5 vlan 100-4094")
    wait_for("those of the VLANs 2 to 99 do not", lambda: count(bridge) == 102 == count(station),
             timeout=5)
    bridge.evb("vsitype del 5")
    wait_for("none does", lambda: count(bridge) == 0 == count(station), timeout=5)
    station.evb("port set up0 evb off")  # 200 requests that are made again are no rest


def test_a_thousand_over_a_slow_wire(net):
    """1,000 asked for in one request, a millisecond each way: all stand, asked for once."""
    st, sw = net.ns("st", "sw")
    for ns in (st, sw):
        ns.silence()
    net.slow_veth(st, "up0", sw, "p1", 1000)
    bridge = net.evbd(sw, "bridge add sw0 type learning\nvsitype add 5\n"
                      "port add p1 bridge sw0 packet p1 trunk all evb auto vdp on\n", name="bridge")
    station = net.evbd(st, "bridge add br0 uplink up0\nport set up0 evb auto\n" + "".join(
        f"port add m{n} bridge br0 memory mac 52:54:00:01:{n >> 8:02x}:{n & 255:02x} "
        f"vlan {2 + n}\n" for n in range(1000)), name="station")
    wait_for("they know each other",
             lambda: all(d.call("evb.show")[0]["peer"] for d in (station, bridge)))
    station.call("config.apply", requests=[
        {"method": "vsi.add", "params": {"ifname": f"m{n}", "type": 5,
                                         "instance": str(uuid.UUID(int=n + 1))}}
        for n in range(1000)])

    def stand(d):
        return [r["state"] for r in d.call("vsi.show")].count("associated")
    wait_for("all stand", lambda: stand(station) == 1000, every=0.2)
    assert stand(bridge) == 1000
    stats = station.call("vsi.show", stats=True)[0]["stats"]["vdp"]
    assert stats["requests"] == 1000 and stats["responses"] >= 1000


def test_a_flood_starves_no_vsi(net):
    """LLDP and ECP without a pause, by somebody else on the same wire: keep-alives get through."""
    values = " evb-rka 17 evb-rte 13\n"  # 1.3 s, 82 ms
    w = Wire(net, VSI1 + "port set up0" + values, "vsitype add 5\nport set p1" + values)
    w.wait("g1", "associated")
    flood = [frame("01:80:c2:00:00:00", "02:00:00:00:00:66", 0, ethertype=t) for t in (0x88CC,
                                                                                     0x8940)]
    flood[1] = flood[1][:14] + bytes.fromhex("10017777") + flood[1][18:]  # it is acknowledged
    raw = RawPort(w.ns["st"], "up0")
    end = time.monotonic() + 6
    while time.monotonic() < end:
        for octets in flood * 20:
            raw.send(octets)
    raw.close()
    row = w.bridge.json("vsi show", options=["-s"])[0]
    assert row["state"] == "associated" and not row["stats"]["vdp"].get("timed_out")
    assert row["stats"]["vdp"]["keep_alives"] >= 3
    p = w.bridge.port("p1", stats=True)
    assert p["drops"]["control"] > p["punted"] > 0
    w.passes("g1", 10)


def test_two_stations_and_the_latest_wins(net):
    """The same address on two ports, as while a guest migrates: where it was associated last."""
    w = Wire(net, VSI1, "vsitype add 5\nport set p2 vdp on\n")
    w.wait("g1", "associated")
    w.bridge.evb("port set p2 vdp off")
    w.passes("g1", 10)
    # The server may not be the guest: its address is associated elsewhere, and stays there.
    w.sockets["s"].send(frame(S, G1, 7, tags=[(C_TAG, 10)]))
    w.passes("g1", 10)
    assert [(e["ifname"], e["state"], e["vlan"]) for e in w.bridge.json("fdb show")
            if e["mac"] == G1] == [("p1", "associated", 10)]


@pytest.mark.skipif(not shutil.which("tshark"), reason="no tshark")
def test_tshark_finds_nothing_malformed(net):
    w = Wire(net, VSI1 + VSI2, "vsitype add 5 vlan 10\n", start=False)
    pcap, capture = w.start_captured()
    w.wait("g1", "associated")
    w.bridge.evb("vsitype set 5 vlan 20")
    wait_for("ended", lambda: not w.vsi(w.station, "g1")["open"])
    w.bridge.evb("vsitype set 5 vlan 10")
    w.wait("g1", "associated")
    w.station.evb("vsi del g1")
    wait_for("gone", lambda: not any(r["open"] for r in w.bridge.json("vsi show")))
    w.station.stop()
    capture.terminate()
    capture.wait()
    shown = subprocess.run(["tshark", "-r", pcap, "-V"], capture_output=True, text=True,
                           check=True).stdout
    assert "Malformed" not in shown and "malformed" not in shown
    fields = subprocess.run(["tshark", "-r", pcap, "-Y", "ecp21", "-T", "fields", "-e",
                             "vdp21.tlvtype", "-e", "ecp.op"], capture_output=True, text=True,
                            check=True).stdout
    types = {int(t, 0) for line in fields.splitlines() for t in line.split("\t")[0].split(",") if t}
    assert {3, 4} <= types  # associated, ended
