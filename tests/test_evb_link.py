# SPDX-License-Identifier: Apache-2.0
"""EVB and LLDP over one wire: reflection is negotiated, and ends with who asked for it."""
import os
import re
import struct
import subprocess
import time

import pytest

from evblib import Refused, Rpc, run, wait_for
from frames import BROADCAST, S_TAG, RawPort, frame, mac_octets, number_of, settle, tag_of

G1, G2, S = "52:54:00:00:00:01", "52:54:00:00:00:02", "02:00:00:00:00:99"
STRANGER = "02:00:00:00:00:98"
SCOPES = {"nearest-bridge": 0x0E, "non-tpmr": 0x03, "customer-bridge": 0x00}
VSI = "11111111-2222-3333-4444-555555555555"
LLDP, ECP, ECP_DRAFT = 0x88CC, 0x8940, 0x88B7


def group(scope):
    return f"01:80:c2:00:00:{SCOPES[scope]:02x}"


def type_of(octets):
    return struct.unpack("!H", octets[12:14])[0]


class Wire:
    """st: an edge bridge with guests g1 and g2 in vepa mode; sw: a learning bridge, p1 and p2."""

    def __init__(self, net, station="", bridge="", evb=("auto", "auto"), relay="on", fallback="",
                 driver="", tag="", start=True):
        self.net = net
        st, sw, gs, srv = net.ns("st", "sw", "gs", "srv")
        for ns in (st, sw, gs, srv):
            ns.silence()
        self.st, self.sw, self.gs = st, sw, gs
        net.veth(st, "up0", sw, "p1")
        net.veth(sw, "p2", srv, "s0")
        for g in ("g1", "g2"):
            net.veth(st, g, gs, f"x{g}")
        self.station_text = (
            f"bridge add br0 uplink up0 {driver} {fallback}\nport set up0 evb {evb[0]} {tag}\n"
            f"port add g1 bridge br0 packet g1 mac {G1}\n"
            f"port add g2 bridge br0 packet g2 mac {G2}\n" + station)
        self.bridge_text = (
            "bridge add sw0 type learning\n"
            f"port add p1 bridge sw0 packet p1 evb {evb[1]} reflective-relay {relay} {tag}\n"
            "port add p2 bridge sw0 packet p2\n" + bridge)
        self.sockets = {"g1": RawPort(gs, "xg1"), "g2": RawPort(gs, "xg2"),
                        "s": RawPort(srv, "s0"), "wire": RawPort(sw, "p1")}
        self.number = 0
        if start:
            self.start_bridge()
            self.start_station()

    def start_bridge(self):
        self.bridge = self.net.evbd(self.sw, self.bridge_text, name="bridge")
        self.bridge.wait_port("p1", "UP")

    def start_station(self):
        self.station = self.net.evbd(self.st, self.station_text, name="station")
        self.station.wait_port("up0", "UP")

    def reflection(self):
        return self.station.json("bridge show")[0]["reflection"]

    def wait(self, reflection):
        wait_for(f"reflection {reflection}, is {self.reflection()}",
                 lambda: self.reflection() == reflection)

    def wait_bridge(self, reflection):
        def there():
            return self.bridge.call("evb.show")[0]["reflection"] == reflection
        wait_for(f"the bridge: reflection {reflection}: {self.bridge.call('evb.show')}", there)

    def guests(self):
        """(frames that reach g2, those seen on the wire to the bridge) of one from g1 to g2."""
        for s in self.sockets.values():
            s.receive_all()
        self.number += 1
        before = self.station.port("g1", stats=True)["stats64"]["rx"]["packets"]
        self.sockets["g1"].send(frame(G2, G1, self.number))
        wait_for("the station takes it", lambda: self.station.port(
            "g1", stats=True)["stats64"]["rx"]["packets"] > before)
        got = settle(self.sockets, 0.2)
        return tuple([number_of(o) for o in got[key]].count(self.number)
                     for key in ("g2", "wire"))

    def comes_back(self):
        """Does a broadcast from the station's wire, which the server gets, come back there too?"""
        self.number += 1
        with RawPort(self.st, "up0") as raw:
            raw.send(frame(BROADCAST, STRANGER, self.number))
            got = settle({"up0": raw, "s": self.sockets["s"]}, 0.2)
        assert self.number in [number_of(o) for o in got["s"]]
        return self.number in [number_of(o) for o in got["up0"]]

    def reach(self):
        """g1 and the server learn of each other; then a frame arrives once, by the wire."""
        wait_for(f"guests reach each other: {self.guests()}", lambda: self.guests() == (1, 1))

    def hear(self, key="wire"):
        """What has come of control frames."""
        return [o for o in self.sockets[key].receive_all()
                if o[:5] == bytes.fromhex("0180c20000")]


def test_negotiated(net):
    """Nothing is told by hand, and vepa guests reach each other; the monitor tells of it."""
    w = Wire(net, start=False)
    w.start_station()
    assert w.reflection() == "unknown"
    assert w.guests() == (0, 1)  # to the wire, all the same
    monitor = Rpc(w.station.socket)
    monitor.call("monitor.subscribe", kinds=["evb", "lldp"])
    w.start_bridge()
    w.wait("on")
    w.reach()
    events = []
    while not any(e.get("reflection") == "on" for e in events):
        events.append(monitor.next_event())
    assert not warnings(w.station), "all went well"
    kinds = [e["kind"] for e in events]
    assert "lldp" in kinds and "evb" in kinds
    (heard,) = [e for e in events if e["kind"] == "lldp" and e["action"] == "add"]
    assert heard["ifname"] == "up0" and heard["scope"] == "customer-bridge"
    assert heard["chassis"] == w.sw.mac("p1")
    shown = w.station.json("evb show", options=["-s"])[0]
    assert shown["generation"] == "ratified" and shown["role"] == "station" and shown["peer"]
    assert shown["remote"]["rr_capable"] and shown["remote"]["rr_control"]
    other = w.bridge.json("evb show")[0]
    assert other["role"] == "bridge" and other["remote"]["rr_request"]
    for d in (w.station, w.bridge):
        text = d.evb("evb show", options=["-s"]).stdout
        assert "alive" in text and "ratified    on" in text
        d.assert_conserved()


def warnings(d):
    return d.log.read_text().count("warning: br0: reflective relay")


def test_not_allowed(net):
    """The bridge may not reflect: a warning; it may later: at once."""
    w = Wire(net, relay="off")
    w.wait("off")
    log = w.station.log.read_text()
    assert "reflective relay of the adjacent bridge: off: vepa ports do not reach each other" in log
    assert w.guests() == (0, 1)
    w.bridge.evb("port set p1 reflective-relay on")
    w.wait("on")
    w.reach()
    w.bridge.evb("port set p1 reflective-relay off")
    w.wait("off")
    assert w.guests() == (0, 1)
    # It does not matter any more, and then does again.
    for mode, n in (("bridge", 0), ("vepa", 1)):
        before = warnings(w.station)
        for g in ("g1", "g2"):
            w.station.evb(f"port set {g} mode {mode}")
        wait_for(f"{n} more warnings", lambda: warnings(w.station) >= before + n)
        assert warnings(w.station) == before + n
    w.station.assert_conserved()
    w.bridge.assert_conserved()


def test_why_ends_do_not_agree(net):
    """`evb show` says at either end what is amiss; the monitor, what was agreed upon."""
    w = Wire(net, evb=("ratified", "off"), relay="off", start=False,
             station=f"vsi add g1 type 5 instance {VSI}\n")
    w.start_station()

    def says(d, text, hint="", port=None):
        def found():
            row = d.json(f"evb show {port or ''}")[0]
            return text in row.get("reason", "") and hint in row.get("hint", "")
        wait_for(f"{text}: {d.json('evb show')}", found)
        assert text in d.evb("evb show").stdout
    says(w.station, "nobody is heard", "01:80:c2:00:00:00")
    assert "up0: nobody is heard" in w.station.evb("vsi show").stdout
    w.start_bridge()
    monitor = Rpc(w.bridge.socket)
    monitor.call("monitor.subscribe", kinds=["evb"])
    w.bridge.evb("port set p1 lldp customer-bridge")
    says(w.station, "says nothing of EVB", "evb lldp show")
    w.bridge.evb("port set p1 evb draft")
    says(w.station, "another generation", "evb auto")
    says(w.bridge, "another generation", "evb auto")
    w.bridge.evb("port set p1 evb auto")
    says(w.station, "the bridge may not reflect", "reflective-relay on")
    says(w.bridge, "the station asks for reflection", "reflective-relay on")
    assert "up0" not in w.station.json("vsi show")[0].get("link", "")
    w.bridge.evb("port set p1 reflective-relay on evb-rwd 18")
    w.wait("on")
    for d in (w.station, w.bridge):
        assert "reason" not in d.json("evb show")[0]
        text = d.evb("evb show", options=["-s"]).stdout
        assert "local: retries 3 rte 14 rwd 1" in text and "remote: rr_" in text
        assert "evb: taken" in text
    while (e := monitor.next_event()).get("reflection") != "on":
        pass
    assert (e["ifname"], e["peer"], e["generation"]) == ("p1", "alive", "ratified")
    assert (e["retries"], e["rte"], e["rwd"], e["rka"]) == (3, 14, 18, 20)
    w.sw.ip("link set p1 down")
    for d, dev in ((w.station, "up0"), (w.bridge, "p1")):
        says(d, "the port is not up", "evb port show")
        assert "the port is not up" in d.evb("lldp show").stdout, dev


def test_two_stations(net):
    a, b = net.ns("a", "b")
    net.veth(a, "up0", b, "up1")
    ends = [net.evbd(ns, f"bridge add br0 uplink {dev}\nport set {dev} evb auto\n", name=dev)
            for ns, dev in ((a, "up0"), (b, "up1"))]
    for d in ends:
        wait_for("told", lambda d=d: "a station, too" in d.json("evb show")[0].get("reason", ""))


def test_fallback(net):
    """Switched locally until the bridge reflects, by the wire from then on."""
    w = Wire(net, relay="off", fallback="vepa-fallback local")
    w.wait("off")
    wait_for("guests are switched locally", lambda: w.guests() == (1, 0))
    w.bridge.evb("port set p1 reflective-relay on")
    w.wait("on")
    w.reach()
    w.station.evb("bridge set br0 vepa-fallback wait")
    w.bridge.evb("port set p1 reflective-relay off")
    w.wait("off")
    assert w.guests() == (0, 1)
    w.station.evb("bridge set br0 vepa-fallback local")
    wait_for("switched locally again", lambda: w.guests() == (1, 0))
    # Guests that do not ask for VEPA are not concerned, and nobody asks without them.
    w.station.evb("port set g1 mode bridge")
    w.station.evb("port set g2 mode bridge")
    w.bridge.evb("port set p1 reflective-relay on")
    wait_for("nobody asks", lambda: not w.bridge.call("evb.show")[0]["remote"]["rr_request"])
    w.wait_bridge("off")
    assert w.guests() == (1, 0)


def test_ends(net):
    """Reflection ends with either end, and begins again with it."""
    w = Wire(net)
    w.wait("on")
    w.wait_bridge("on")
    w.station.stop()
    w.wait_bridge("off")
    assert not w.bridge.call("evb.show")[0]["peer"]
    assert not w.comes_back()
    w.station.start()
    w.wait("on")
    w.reach()
    assert w.comes_back()
    w.bridge.stop()
    w.wait("unknown")
    w.bridge.start()
    w.wait("on")
    w.reach()
    w.st.ip("link set up0 down")  # that is at the bridge a link without carrier
    w.wait("unknown")
    w.wait_bridge("off")
    w.st.ip("link set up0 up")
    w.wait("on")
    w.reach()
    # No good-bye: a new one in its place is agreed with, whatever stood.
    w.station.kill()
    w.station.start()
    w.wait("on")
    w.reach()
    w.bridge.kill()
    assert w.reflection() == "on"  # nobody has said otherwise yet
    w.bridge.start()
    w.wait_bridge("on")
    w.wait("on")
    w.reach()


@pytest.mark.parametrize("killed", ["station", "bridge"])
def test_killed(net, killed):
    """Without good-bye, what was said ends when it is too old, here after two seconds."""
    lldp = "lldp-interval 1 lldp-hold 1\n"
    w = Wire(net, station=f"port set up0 {lldp}", bridge=f"port set p1 {lldp}")
    w.wait("on")
    w.wait_bridge("on")
    w.reach()
    (n,) = w.bridge.json("lldp show")[0]["neighbours"]
    assert n["ttl"] == 2
    aged = {"station": (w.bridge, "p1"), "bridge": (w.station, "up0")}[killed]
    time.sleep(4)  # two such times: it lives on, as it is said again
    assert "aged" not in aged[0].call("lldp.show", port=aged[1], stats=True)[0]["stats"]
    if killed == "station":
        w.station.kill()
        w.wait_bridge("off")
        assert not w.comes_back()
        w.station.start()
    else:
        w.bridge.kill()
        w.wait("unknown")
        wait_for("a warning", lambda: "adjacent bridge: unknown: vepa ports do not reach" in
                 w.station.log.read_text())
        assert w.guests() == (0, 1)
        w.bridge.start()
    stats = aged[0].call("lldp.show", port=aged[1], stats=True)[0]["stats"]
    assert stats["aged"] == 1
    w.wait("on")
    w.reach()
    # Other times are in force at once, and the other end knows them.
    w.station.evb("port set up0 lldp-interval 10 lldp-hold 3")
    wait_for("another TTL", lambda: w.bridge.json("lldp show")[0]["neighbours"][0]["ttl"] == 31)
    assert "lldp-interval 10 lldp-hold 3" in w.station.evb("config show").stdout


def used(d):
    return {k: v for k, v in d.call("evb.show")[0]["used"].items() if k != "of"}


def test_values_rise_and_sink(net):
    """The greater of both ends' is in use, also after one end, and the other, has lowered its."""
    def text(values):
        return " ".join(f"evb-{k} {v}" for k, v in values.items())
    high = {"retries": 5, "rte": 16, "rwd": 19, "rka": 22}
    low = {"retries": 2, "rte": 12, "rwd": 16, "rka": 18}
    less = {"retries": 1, "rte": 11, "rwd": 15, "rka": 17}
    w = Wire(net, station=f"port set up0 {text(high)}\n", bridge=f"port set p1 {text(high)}\n")
    w.wait("on")
    for name, port, values, then in [("station", "up0", low, high), ("bridge", "p1", less, low),
                                     ("bridge", "p1", high, high), ("bridge", "p1", low, low),
                                     ("station", "up0", less, low), ("bridge", "p1", less, less)]:
        getattr(w, name).evb(f"port set {port} {text(values)}")
        for d in (w.station, w.bridge):
            wait_for(f"{then}, {d.call('evb.show')[0]}", lambda d=d, t=then: used(d) == t)
    time.sleep(1)  # it stays
    assert used(w.station) == used(w.bridge) == less


def test_no_timer_beyond_the_limit(net):
    """The other end may ask for hours: it gets minutes, a warning tells, and evb-max decides."""
    w = Wire(net, station="port set up0 evb-rka 31 evb-rwd 28 evb-max 31\n")
    w.wait_bridge("on")
    row = wait_for("values", lambda: w.bridge.json("evb show")[0])
    assert (row["used"]["rka"], row["used"]["rwd"], row["used"]["rte"]) == (27, 27, 14)
    assert row["used"]["of"] == {"retries": "both", "rte": "both", "rwd": "limit",
                                 "rka": "limit"}
    assert row["max"] == 27 and row["remote"]["rka"] == 31
    assert "27 (limit)" in w.bridge.evb("evb show").stdout

    def warned():
        return w.bridge.log.read_text().count("p1: the other end asks for timers of more than")
    assert warned() == 1
    w.bridge.evb("port set p1 evb-max 31")
    wait_for("what the station asks for", lambda: used(w.bridge)["rka"] == 31)
    w.bridge.evb("port set p1 evb-max 0")  # by hand
    wait_for("own values", lambda: used(w.bridge)["rka"] == 20)
    assert warned() == 2 and "evb-max 0" in w.bridge.evb("config show").stdout
    w.station.evb("port set up0 evb-rka 17 evb-rwd 17 evb-rte 14")
    wait_for("the bridge has the greatest", lambda: used(w.station)["rka"] == 20)


def evb_request(ttl, src=G1):
    """An LLDPDU of a station that asks for reflection (ratified EVB TLV)."""
    def tlv(kind, value):
        return struct.pack("!H", kind << 9 | len(value)) + value
    mac = mac_octets(src)
    # OUI, subtype, bridge status, station status: RRREQ, R/RTE, mode and RWD, local and RKA
    evb = bytes.fromhex("0080c20d") + bytes([0, 0x07, 0x6E, 0x94, 0x14])
    pdu = (tlv(1, b"\4" + mac) + tlv(2, b"\3" + mac) + tlv(3, struct.pack("!H", ttl)) +
           tlv(127, evb) + tlv(0, b""))
    return (mac_octets(group("customer-bridge")) + mac + struct.pack("!H", LLDP) + pdu).ljust(
        60, b"\0")


@pytest.mark.parametrize("evb, generation", [
    (("draft", "auto"), "draft"), (("auto", "draft"), "draft"), (("draft", "draft"), "draft"),
    (("ratified", "auto"), "ratified"), (("ratified", "draft"), None),
    (("draft", "ratified"), None)])
def test_generations(net, evb, generation):
    w = Wire(net, evb=evb)
    if not generation:
        for d in (w.station, w.bridge):
            wait_for("the other end is heard", lambda: d.call("lldp.show")[0]["neighbours"])
        time.sleep(0.3)
        assert w.reflection() == "unknown"
        assert not w.bridge.call("evb.show")[0]["peer"]
        return
    w.wait("on")
    w.reach()
    for d in (w.station, w.bridge):
        assert d.call("evb.show")[0]["generation"] == generation


@pytest.mark.parametrize("scope", ["nearest-bridge", "non-tpmr"])
def test_lldp(net, scope):
    """Neighbours of plain LLDP, and of its scope only; good-bye when the port goes."""
    w = Wire(net, evb=("off", "off"), station=f"port set up0 lldp {scope}\n",
             bridge="port set p1 lldp nearest-bridge,non-tpmr,customer-bridge\n")

    def neighbours():
        return {row["scope"]: row["neighbours"] for row in w.bridge.json("lldp show")}
    wait_for("neighbour", lambda: neighbours()[scope])
    assert sorted(neighbours()) == sorted(SCOPES)
    assert [s for s, n in neighbours().items() if n] == [scope]
    (n,) = neighbours()[scope]
    assert n["chassis"] == w.st.mac("up0") and n["port"] == "up0"
    assert n["port_description"] == "up0" and n["system_name"] == os.uname().nodename
    assert n["system_description"].startswith("evb ") and 0 < n["left"] <= n["ttl"] <= 121
    assert [row["scope"] for row in w.station.json("lldp show")] == [scope]
    wait_for("the bridge is heard", lambda: w.station.json("lldp show")[0]["neighbours"])
    text = w.bridge.evb("lldp show", options=["-s"]).stdout
    assert w.st.mac("up0") in text and scope in text
    w.hear()
    w.station.evb("port set up0 lldp none")
    wait_for("good-bye", lambda: not neighbours()[scope])
    assert w.station.json("lldp show") == []
    last = wait_for("shutdown frame", w.hear)[-1]
    assert last[:6] == mac_octets(group(scope)) and last[-60:].find(b"\x06\x02\0\0") >= 0
    w.station.evb(f"port set up0 lldp {scope}")
    wait_for("neighbour", lambda: neighbours()[scope])
    w.bridge.evb("port del p1")
    wait_for("good-bye of the bridge",
             lambda: not w.station.json("lldp show")[0]["neighbours"])
    w.station.stop()
    assert b"\x06\x02\0\0" in w.hear()[-1]


def test_coexistence(net):
    """Another program's LLDP on the NIC is heard by it, beside ours, and ours is not disturbed."""
    w = Wire(net, station="port set up0 lldp nearest-bridge\n")
    w.wait("on")
    foreign = RawPort(w.st, "up0")
    frames = [frame(group("nearest-bridge"), S, n, ethertype=LLDP) for n in range(1, 6)]
    for o in frames:
        w.sockets["wire"].send(o)
    got = []

    def all_there():
        got.extend(o for o in foreign.receive_all() if o in frames)
        return len(got) == len(frames)
    wait_for("the other program hears them", all_there)
    foreign.send(frame(group("nearest-bridge"), w.st.mac("up0"), 9, ethertype=LLDP))
    wait_for("and is heard", lambda: any(number_of(o) == 9 for o in w.hear()))
    assert w.reflection() == "on"
    foreign.close()


def test_octets(net):
    """Untagged, of the device's address, and nothing that tshark finds malformed."""
    w = Wire(net, start=False, station="port set up0 lldp nearest-bridge,non-tpmr\n"
             f"vsi add g1 type 5 instance {VSI}\n",
             bridge="port set p1 lldp nearest-bridge\nvsitype add 5\n")
    path = net.dir / "wire.pcap"
    tcpdump = w.sw.popen("tcpdump", "-U", "--immediate-mode", "-i", "p1", "-w", path,
                         stderr=subprocess.DEVNULL)
    wait_for("capture", lambda: path.exists() and path.stat().st_size)
    w.start_bridge()
    w.start_station()
    w.wait("on")
    wait_for("VSI", lambda: w.station.json("vsi show")[0]["state"] == "associated")
    heard = w.hear()
    w.station.stop()
    w.bridge.stop()

    def dissected():
        return run(["tshark", "-r", path, "-V"], timeout=60, check=False).stdout
    wait_for("both say good-bye in the capture", lambda: len(re.findall(
        r"Time To Live = 0 sec", dissected())) == 5, every=0.5)  # one of each agent
    tcpdump.terminate()
    tcpdump.wait(20)
    assert {type_of(o) for o in heard} == {LLDP, ECP}
    for o in heard:
        assert o[6:12] == mac_octets(w.st.mac("up0")) and not tag_of(o) and len(o) >= 60
    text = dissected()
    assert "alformed" not in text and "EVB" in text and "Edge Control Protocol" in text


def test_flood(net, rng):
    """From the wire come 20,000 control frames and garbage: all counted, a few heard."""
    w = Wire(net, station="port set up0 lldp nearest-bridge,non-tpmr\nport set g1 mode bridge\n"
             "port set g2 mode bridge\n")
    w.wait_bridge("off")
    wait_for("the bridge is heard", lambda: w.station.call("evb.show")[0]["peer"])
    macs = [group(scope) for scope in SCOPES]
    base = evb_request(ttl=100)
    raw = RawPort(w.sw, "p1")
    before = w.station.port("up0", stats=True)
    start = time.monotonic()
    reached = 0
    for i in range(20000):
        kind = i % 4
        o = frame(macs[i % 3], S, i, size=64 + i % 200, ethertype=(LLDP, ECP, ECP_DRAFT)[i % 3])
        if kind == 1:
            o = base[:6] + bytes([2, 0, 0, 0, i >> 8, i & 0xFF]) + base[12:]
        elif kind == 2:
            cut = bytearray(base)
            cut[rng.randrange(14, 60)] = rng.randrange(256)
            o = bytes(cut[:5]) + bytes([SCOPES[rng.choice(list(SCOPES))]]) + bytes(cut[6:])
        elif kind == 3:
            o = o[:12] + rng.randbytes(rng.randrange(2, 1400))
            o = o.ljust(60, b"\0")
        raw.send(o)
        if i % 4000 == 0:
            reached += w.guests() == (1, 0)
    raw.close()
    assert reached == 5, "other traffic flows"
    w.station.assert_conserved()
    seconds = time.monotonic() - start
    after = w.station.port("up0", stats=True)
    punted = after["punted"] - before.get("punted", 0)
    assert 0 < punted <= 2048 * (seconds + 2)
    came = after["stats64"]["rx"]["packets"] - before["stats64"]["rx"]["packets"]
    drops = {k: n - before.get("drops", {}).get(k, 0) for k, n in after["drops"].items()}
    assert came >= 20000 and sum(drops.values()) + punted >= 20000
    assert drops["control"] >= 20000 - punted - 5000 // 2
    stats = w.station.call("lldp.show", port="up0", stats=True)
    assert all(len(row["neighbours"]) <= 16 for row in stats)
    assert w.station.process.poll() is None
    w.station.evb("lldp show", options=["-s"])


def test_flood_bridge(net, rng):
    """The same at a learning bridge; reflection goes on for whom it stands."""
    w = Wire(net, bridge="port set p1 lldp nearest-bridge,non-tpmr\n")
    w.wait("on")
    w.reach()
    raw = RawPort(w.st, "up0")
    for i in range(5000):
        dst = group(list(SCOPES)[i % 3])
        raw.send(frame(dst, S, i, ethertype=(LLDP, ECP)[i % 2])[:14] + rng.randbytes(60))
    raw.close()
    w.reach()
    w.bridge.assert_conserved()
    p = w.bridge.port("p1", stats=True)
    assert p["drops"]["control"] > 0 and p["punted"] > 0
    w.wait("on")


def test_a_station_that_cannot_decide(net):
    """It asks, and does not, 40 times a second: followed each time, and the log is not filled."""
    w = Wire(net, start=False)
    w.start_bridge()
    asks = evb_request(ttl=100)
    evb = asks.index(bytes.fromhex("0080c20d")) + 5
    start = time.monotonic()
    with RawPort(w.st, "up0") as raw:
        for _ in range(40):
            raw.send(asks)
            w.wait_bridge("on")
            raw.send(asks[:evb] + b"\3" + asks[evb + 1:])
            w.wait_bridge("off")
            time.sleep(0.02)
    seconds = time.monotonic() - start
    assert 0 < w.bridge.log.read_text().count("reflective relay, as") <= seconds + 2


@pytest.mark.parametrize("end", ["station", "bridge"])
def test_the_peer_is_heard_through_a_flood(net, end):
    """Strangers were there before it, and go on, as the wire allows: it comes, and stays."""
    lldp = "lldp-interval 1 lldp-hold 3\n"  # it would age after 4 s
    w = Wire(net, station=f"port set up0 {lldp}", bridge=f"port set p1 {lldp}", start=False)
    ns, dev, port = {"station": (w.sw, "p1", "up0"), "bridge": (w.st, "up0", "p1")}[end]
    (w.start_station if end == "station" else w.start_bridge)()
    flooded = {"station": lambda: w.station, "bridge": lambda: w.bridge}[end]()
    raw = RawPort(ns, dev)
    base = evb_request(ttl=100)
    strange = base.replace(bytes.fromhex("0080c20d"), bytes.fromhex("0080c27f"))

    def flood(n):
        for i in range(n):
            mac = bytes([2, 0, 0, i >> 16 & 0xFF, i >> 8 & 0xFF, i & 0xFF])
            raw.send(strange.replace(base[6:12], mac))
    flood(100)
    wait_for("strangers", lambda: len(flooded.json("lldp show")[0]["neighbours"]) == 4)
    (w.start_bridge if end == "station" else w.start_station)()
    w.wait("on")
    w.wait_bridge("on")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        flood(3000)
        assert flooded.call("evb.show")[0]["peer"]
    raw.close()
    stats = flooded.call("lldp.show", port=port, stats=True)[0]
    assert "aged" not in stats["stats"] and stats["stats"]["forgotten"] > 500
    assert w.st.mac("up0") if end == "bridge" else w.sw.mac("p1") in [
        n["chassis"] for n in stats["neighbours"]]
    assert flooded.port(port, stats=True)["drops"]["control"] > 500
    assert warnings(w.station) <= 1
    w.reach()


@pytest.mark.parametrize("driver, tag", [("driver xdp", ""), ("", "svlan 7")])
def test_uplinks(net, driver, tag):
    """Over an XDP uplink, and within an S-channel: its frames have its S-tag then."""
    w = Wire(net, driver=driver, tag=tag)
    w.wait("on")
    w.wait_bridge("on")
    w.reach()
    w.station.evb("port set up0 lldp nearest-bridge")
    heard = []

    def all_heard():
        heard.extend(o for o in w.hear() if o[5] == SCOPES["nearest-bridge"])
        return heard
    wait_for("LLDP on the wire", all_heard)
    for o in heard:
        assert (tag_of(o) or (0, 0))[0] == (S_TAG if tag else 0)
    w.station.stop()
    w.wait_bridge("off")


def test_tap_port(net):
    """A port of a learning bridge that is a tap in a guest's namespace: a nested evbd asks."""
    sw, inner = net.ns("sw", "inner")
    for ns in (sw, inner):
        ns.silence()
    bridge = net.evbd(sw, "bridge add sw0 type learning\n"
                      f"port add t1 bridge sw0 tap netns {inner.name} evb auto "
                      "reflective-relay on lldp nearest-bridge\n", name="bridge")
    bridge.wait_port("t1", "UP", "STANDBY")
    inner.ip("link set t1 up")
    station = net.evbd(inner, "bridge add br0 uplink t1\nport set t1 evb auto\n"
                       f"port add g1 bridge br0 tap mac {G1}\n", name="station")
    wait_for(f"reflection: {station.json('bridge show')}",
             lambda: station.json("bridge show")[0]["reflection"] == "on")
    chassis = bridge.call("lldp.show", port="t1")[0]["chassis"]
    assert int(chassis[:2], 16) & 3 in (0, 2)
    station.stop()
    wait_for("ends", lambda: bridge.call("evb.show")[0]["reflection"] == "off")


def next_reflection(rpc):
    while "reason" not in (e := rpc.next_event()):
        pass  # of another kind, or of a port
    return e["reflection"], "vepa ports" in e["reason"]


def test_asked_late(net):
    """The first vepa guest comes when the bridge has long said that it does not reflect."""
    w = Wire(net, relay="off")
    w.wait("off")
    for g in ("g1", "g2"):
        w.station.evb(f"port set {g} mode bridge")
    monitor = Rpc(w.station.socket)
    monitor.call("monitor.subscribe", kinds=["evb"])
    w.station.evb("port set g1 mode vepa")
    assert next_reflection(monitor) == ("off", True)
    w.station.evb("port set g1 mode bridge")
    assert next_reflection(monitor) == ("off", False)


def test_another_uplink(net):
    """What counts is the bridge at the end of the active uplink."""
    st, sw = net.ns("st", "sw")
    for n in (0, 1):
        net.veth(st, f"up{n}", sw, f"p{n}")
    net.evbd(sw, "bridge add sw0 type learning\n"
             "port add p0 bridge sw0 packet p0 evb auto reflective-relay on\n"
             "port add p1 bridge sw0 packet p1 evb auto vlan 2\n", name="bridge")
    station = net.evbd(st, "bridge add br0 uplink up0,up1 updelay 1000\n"
                       "port set up0 evb auto\nport set up1 evb auto\n"
                       f"port add g1 bridge br0 memory mac {G1}\n", name="station")

    def shown():
        return station.call("bridge.show")[0]["reflection"]
    wait_for("both peers", lambda: all(e["peer"] for e in station.call("evb.show")))
    wait_for("on", lambda: shown() == "on")
    monitor = Rpc(station.socket)
    monitor.call("monitor.subscribe", kinds=["evb"])
    station.evb("port set up1 priority 5")
    assert next_reflection(monitor) == ("off", True)
    assert shown() == "off"
    sw.ip("link set p1 down")
    assert next_reflection(monitor) == ("on", False)
    sw.ip("link set p1 up")  # it takes over later, when both ends have long agreed
    told = next_reflection(monitor)
    assert (next_reflection(monitor) if told[0] == "unknown" else told) == ("off", True)


def test_device_comes_again(net):
    """The wire is taken away and made anew: all is as it was, VSIs too."""
    w = Wire(net, station=f"vsi add g1 type 5 instance {VSI}\n", bridge="vsitype add 5\n")
    w.wait("on")

    def stands():
        return w.station.json("vsi show")[0]["state"] == "associated"
    wait_for("VSI", stands)
    w.st.ip("link del up0")
    w.wait("unknown")
    wait_for("VSI stands no more", lambda: not stands())
    net.veth(w.st, "up0", w.sw, "p1")
    w.wait("on")
    w.wait_bridge("on")
    wait_for("VSI", stands)


def test_another_device(net):
    """Another device under the same name, in one go: good-bye to the other end of the old."""
    st, sw = net.ns("st", "sw")
    for n in (0, 1):
        net.veth(st, f"up{n}", sw, f"p{n}")
    bridge = net.evbd(sw, "bridge add sw0 type learning\n" + "".join(
        f"port add p{n} bridge sw0 packet p{n} evb auto reflective-relay on\n" for n in (0, 1)))

    def peers():
        return [e["peer"] for e in bridge.call("evb.show")]
    add = "port add u bridge br0 packet up{} role uplink evb auto\n"
    station = net.evbd(st, "bridge add br0\n" + add.format(0) +
                       f"port add g1 bridge br0 memory mac {G1}\n")
    wait_for(f"a peer at p0: {peers()}", lambda: peers() == [True, False])
    station.lost_ports = True
    station.evb("-b", "-", text="port del u\n" + add.format(1))
    wait_for(f"a peer at p1: {peers()}", lambda: peers() == [False, True])
    wait_for("reflection", lambda: station.json("bridge show")[0]["reflection"] == "on")


BAD = [
    ("station", "port set g1 evb auto", "evb"),
    ("station", "port set g1 lldp nearest-bridge", "lldp"),
    ("station", "port set up0 lldp foo", "foo"),
    ("station", "port set up0 lldp nearest-bridge,,non-tpmr", "LLDP has no scope \"\""),
    ("station", "port set up0 evb maybe", "maybe"),
    ("station", "bridge set br0 vepa-fallback sometimes", "sometimes"),
    ("station", "port set up0 reflective-relay on", "reflective-relay"),
    ("bridge", "bridge set sw0 vepa-fallback local", "vepa-fallback"),
    ("bridge", "lldp foo", "foo: no such port"),
    ("bridge", "evb show p7", "p7"),
    ("bridge", "lldp show p7", "p7"),
]


def test_wrong_commands(net):
    """Clear errors that change nothing; the settings are kept over a restart."""
    w = Wire(net, station="port set up0 lldp nearest-bridge\n",
             fallback="vepa-fallback local", bridge="port set p1 lldp customer-bridge\n")
    w.wait("on")
    shown = {d.name: d.evb("config show").stdout for d in (w.station, w.bridge)}
    for name, command, what in BAD:
        d = getattr(w, name)
        p = d.evb(command, check=False)
        assert p.returncode and what in p.stderr, (command, p.stderr)
        assert len(p.stderr.splitlines()) >= 2, f"no hint: {command}: {p.stderr}"
        assert d.evb("config show").stdout == shown[name], command
    with pytest.raises(Refused):
        w.bridge.call("evb.show", port=7)
    up0 = next(line for line in shown["station"].splitlines() if "up0" in line and "evb" in line)
    assert "evb auto" in up0 and "lldp nearest-bridge" in up0
    assert "vepa-fallback local" in shown["station"]
    assert "reflective-relay on" in shown["bridge"] and "evb auto" in shown["bridge"]
    for d in (w.station, w.bridge):
        d.stop()
        d.config.write_text(shown[d.name])
        d.start()
        assert d.evb("config show").stdout == shown[d.name]
    w.wait("on")
    w.reach()
