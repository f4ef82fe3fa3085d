# SPDX-License-Identifier: Apache-2.0
"""Interoperation with lldpad, the only other open implementation of 802.1Qbg, as either end."""
import subprocess

import pytest

from evblib import run, wait_for
from lldpad import Lldpad, instance


class Capture:
    """What is on a device, dissected by tshark."""

    def __init__(self, net, ns, dev):
        self.path = net.dir / f"{dev}.pcap"
        self.process = ns.popen("tcpdump", "-U", "-i", dev, "-w", self.path, "ether", "proto",
                                "0x88cc", "or", "ether", "proto", "0x8940", "or", "ether",
                                "proto", "0x88b7", stderr=subprocess.DEVNULL)
        wait_for("capture", self.path.exists)

    def frames(self):
        """Their dissection in full, as text."""
        self.process.terminate()
        self.process.wait(20)
        return run(["tshark", "-r", self.path, "-V"], timeout=60).stdout


def evb_of(d, port):
    return d.call("evb.show", port=port)[0]


def agreed(d, port, generation="ratified", reflection="on"):
    def there():
        e = evb_of(d, port)
        return e["peer"] and e["generation"] == generation and e["reflection"] == reflection and e
    return wait_for(f"{d.name}: {generation}, reflection {reflection}, {evb_of(d, port)}", there)


@pytest.fixture
def wire(net):
    st, sw = net.ns("st", "sw")
    net.veth(st, "s0", sw, "b0")
    for ns in (st, sw):
        ns.silence()
    return net, st, sw


@pytest.mark.parametrize("draft", [False, True])
def test_station(wire, draft):
    """lldpad is the station: it gets reflection from our bridge, as long as it is there."""
    net, st, sw = wire
    d = net.evbd(sw, "bridge add sw0 type learning\n"
                 "port add p1 bridge sw0 packet b0 evb auto reflective-relay on\n")
    capture = Capture(net, sw, "b0")
    peer = Lldpad(net, st, "s0", draft=draft)
    generation = "draft" if draft else "ratified"
    e = agreed(d, "p1", generation)
    assert e["role"] == "bridge"
    if draft:
        assert e["remote"]["configured_mode"] & 0x40
        wait_for("lldpad hears of it", lambda: "EVB" in peer.neighbour())
    else:
        assert e["remote"]["rr_request"] and e["used"]["rka"] == 20
        wait_for("lldpad knows that the bridge reflects",
                 lambda: "bridge:rrcap,rrctr" in peer.neighbour())
    neighbour = wait_for("neighbour", lambda: d.call("lldp.show", port="p1")[0]["neighbours"])[0]
    assert neighbour["chassis"] == st.mac("s0")
    peer.stop()
    wait_for("reflection ends with the station", lambda: evb_of(d, "p1")["reflection"] == "off" and
             not evb_of(d, "p1")["peer"], timeout=10)
    peer.start()
    agreed(d, "p1", generation)
    text = capture.frames()
    assert "Malformed" not in text and ("LLDP" in text)


def test_bridge(wire):
    """lldpad is the bridge, and reflects for our station."""
    net, st, sw = wire
    d = net.evbd(st, "bridge add br0 uplink s0\nport set s0 evb auto\n"
                 "port add g1 bridge br0 memory mac 52:54:00:00:00:01\n")
    capture = Capture(net, st, "s0")
    peer = Lldpad(net, sw, "b0", role="bridge")
    e = wait_for("the bridge is heard", lambda: evb_of(d, "s0")["peer"] and evb_of(d, "s0"))
    assert e["role"] == "station" and e["remote"]["rr_capable"]
    wait_for("lldpad knows what we ask for", lambda: "EVB" in peer.neighbour())
    # Its bridge never turns reflection on by itself where it cannot set a hairpin.
    assert d.call("bridge.show")[0]["reflection"] in ("on", "off")
    peer.stop()
    wait_for("the bridge is gone", lambda: not evb_of(d, "s0")["peer"])
    assert d.call("bridge.show")[0]["reflection"] == "unknown"
    assert "Malformed" not in capture.frames()


def vsis(d):
    return {v["instance"]: v for v in d.call("vsi.show")}


BRIDGE = ("bridge add sw0 type learning\n"
          "vsitype add 5 version 4 vlan 1,200 default-vlan 200\n"
          "port add p1 bridge sw0 packet b0 evb auto evb-rka 17 reflective-relay on vdp on "
          "trunk all\n")


def test_vdp_station(wire):
    """lldpad's station associates with our bridge: VID 0, refusals, keep-alive, revocation. With
    test_station, line 70 of the conformance checklist."""
    net, st, sw = wire
    d = net.evbd(sw, BRIDGE)
    capture = Capture(net, sw, "b0")
    peer = Lldpad(net, st, "s0", rka=17)  # a keep-alive each 1.3 s
    agreed(d, "p1")
    assert "filter = 200-52:00:00:11:22:33" in peer.vdptool("assoc", 1)
    v = vsis(d)[instance(1)]
    assert v["state"] == "associated" and v["filters"] == ["52:00:00:11:22:33/200"]
    # It stays, for lldpad says so again and again.
    wait_for("keep-alives", lambda: d.call("vsi.show", stats=True)[0]["stats"]["vdp"].get(
        "keep_alives", 0) >= 3)
    assert vsis(d)[instance(1)]["state"] == "associated"
    # What stands is kept when it is asked for with a type that there is none of; lldpad takes that
    # for success, is told the same when it repeats it, and then de-associates.
    peer.vdptool("assoc", 1, typeid=6)
    assert d.call("evb.show", stats=True)[0]["stats"]["vdp"]["kept"] >= 1
    wait_for("lldpad lets go", lambda: instance(1) not in vsis(d))
    wait_for("and asks again", lambda: peer.vdptool("assoc", 1) and instance(1) in vsis(d))
    # A type that there is none of, and a VLAN that the type does not have.
    assert "error" in peer.vdptool("assoc", 2, typeid=6).lower() or instance(2) not in vsis(d)
    peer.vdptool("assoc", 3, filter_="7-52:00:00:11:22:34")
    assert vsis(d).keys() == {instance(1)}
    # De-associated by the station, made again, and revoked when the type loses its VLAN.
    peer.vdptool("deassoc", 1, filter_="200-52:00:00:11:22:33")
    wait_for("de-associated", lambda: instance(1) not in vsis(d))
    peer.vdptool("assoc", 4, filter_="200-52:00:00:11:22:35")
    assert vsis(d)[instance(4)]["state"] == "associated"
    d.evb("vsitype set 5 version 4 vlan 300 default-vlan 300")
    wait_for("revoked", lambda: instance(4) not in vsis(d))
    # lldpad ends without a word: its VSIs go when nothing is heard of them.
    peer.vdptool("assoc", 5, filter_="300-52:00:00:11:22:36")
    assert vsis(d)[instance(5)]["state"] == "associated"
    peer.process.kill()
    wait_for("timed out", lambda: not vsis(d))
    text = capture.frames()
    assert "Malformed" not in text and text.count("VDP Associate") > 10


def test_vdp_bridge(wire):
    """Our station's VSIs at lldpad's bridge, which accepts whatever it gets."""
    net, st, sw = wire
    d = net.evbd(st, "bridge add br0 uplink s0\nport set s0 evb auto\n" + "".join(
        f"port add g{i} bridge br0 memory mac 52:54:00:00:00:{i:02x} vlan 7\n"
        f"vsi add g{i} manager 1 type 5 version 4 instance {instance(i)}\n" for i in range(1, 5)))
    capture = Capture(net, st, "s0")
    peer = Lldpad(net, sw, "b0", role="bridge")
    wait_for("all stand", lambda: [v["state"] for v in d.call("vsi.show")] == ["associated"] * 4)
    d.evb("vsi del g2")
    wait_for("three are left", lambda: len(vsis(d)) == 3)
    peer.stop()
    assert "Malformed" not in capture.frames()


def test_vdp_draft(wire):
    """The drafts' VDP, by lldpad's station at our bridge."""
    net, st, sw = wire
    d = net.evbd(sw, BRIDGE)
    capture = Capture(net, sw, "b0")
    peer = Lldpad(net, st, "s0", draft=True)
    agreed(d, "p1", "draft")
    request = f"mode=2,0,5,4,{instance(9)},2,52:00:00:11:22:39,200"
    wait_for("lldpad takes the request", lambda: peer.tool(
        "-T", "-i", "s0", "-V", "vdp", "-c", request).returncode == 0)
    wait_for("associated", lambda: vsis(d).get(instance(9), {}).get("state") == "associated")
    assert "Malformed" not in capture.frames()


def test_bridge_cannot_keep_up(net):
    """lldpad's bridge answers one VSI each ackTimerInit, 82 ms here, and acknowledges all: none of
    80 times out, is asked for twice, or is let go of."""
    st, sw = net.ns("st", "sw")
    net.veth(st, "s0", sw, "b0")
    for ns in (st, sw):
        ns.silence()
    Lldpad(net, sw, "b0", role="bridge", rte=13)
    d = net.evbd(st, "bridge add br0 uplink s0\nport set s0 evb auto evb-rte 13\n" + "".join(
        f"port add g{i} bridge br0 memory mac 52:54:00:00:00:{i:02x} vlan 7\n"
        for i in range(80)))
    wait_for("the bridge is heard", lambda: evb_of(d, "s0")["peer"])
    d.call("config.apply", requests=[
        {"method": "vsi.add", "params": {"ifname": f"g{i}", "type": 5, "instance": instance(i)}}
        for i in range(80)])
    wait_for("all stand", lambda: [v["state"] for v in d.call("vsi.show")] == ["associated"] * 80,
             timeout=40)

    def stats():
        return d.call("vsi.show", stats=True)[0]["stats"]["vdp"]
    wait_for("keep-alives", lambda: stats().get("keep_alives", 0) > 80)
    assert all(v["state"] == "associated" for v in d.call("vsi.show"))
    assert stats()["requests"] == 80 and not stats().get("mismatched")
