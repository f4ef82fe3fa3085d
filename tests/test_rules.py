# SPDX-License-Identifier: Apache-2.0
"""Rules of an edge relay that kernel macvlan does not have: guard, limits, standby, lists, masks.

Frames go in octet by octet, and each drop must be counted under its reason on its port.
"""
import pytest

from evblib import wait_for
from frames import BROADCAST, C_TAG, RawPort, raw_station

M1, M2, M3 = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
NEW = [f"02:00:00:00:aa:{i:02x}" for i in range(16)]
EXTERNAL, UNKNOWN = "02:00:00:00:dd:01", "02:00:00:00:ee:01"


def fdb(evbd):
    return {e["mac"]: e for e in evbd.call("fdb.show", bridge="br0")}


def test_spoof_guard(net):
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge")
    d = lab.evbd
    assert lab.where("g1", M2, M1) == ["g2"]
    assert lab.where("g1", M2, EXTERNAL) == []  # nobody's
    assert lab.where("g1", UNKNOWN, M2) == []  # another's
    assert lab.where("g1", BROADCAST, M2) == []
    assert d.drops("g1") == {"spoof": 3}
    d.evb("port set g1 spoof-guard off")
    assert lab.where("g1", M2, EXTERNAL) == ["g2"]
    assert lab.where("g1", BROADCAST, M2) == ["g2", "wire"]
    d.evb("port set g1 spoof-guard on")
    assert lab.where("g1", M2, EXTERNAL) == []
    assert d.drops("g1") == {"spoof": 4}
    assert d.drops("g2") == {}


def test_several_provisioned_macs(net):
    lab = raw_station(net, f"mac {M1},{M3} mode vepa", f"mac {M2} mode vepa")
    for mac in (M1, M3):
        assert lab.where("g1", UNKNOWN, mac) == ["wire"]
        assert lab.where("wire", mac, EXTERNAL) == ["g1"]
    lab.evbd.evb(f"fdb add {NEW[0]} port g1")
    assert lab.where("g1", UNKNOWN, NEW[0]) == ["wire"]
    assert lab.where("wire", NEW[0], EXTERNAL) == ["g1"]
    lab.evbd.evb(f"fdb del {NEW[0]} bridge br0")
    assert lab.where("wire", NEW[0], EXTERNAL) == []
    assert lab.where("g1", UNKNOWN, NEW[0]) == []
    assert lab.evbd.drops("g1") == {"spoof": 1}
    assert lab.evbd.drops("up0") == {"unknown_dst": 1}


def test_maclimit(net):
    """Two further addresses are learned, a third is refused, and no other's is ever taken."""
    lab = raw_station(net, f"mac {M1} mode vepa maclimit 2", f"mac {M2} mode vepa")
    d = lab.evbd
    for i, mac in enumerate(NEW[:2]):
        assert lab.where("wire", mac, EXTERNAL) == []
        assert lab.where("g1", UNKNOWN, mac) == ["wire"]
        wait_for("learned", lambda: fdb(d).get(mac, {}).get("state") == "learned")
        assert fdb(d)[mac]["ifname"] == "g1"
        assert lab.where("wire", mac, EXTERNAL) == ["g1"]
        assert d.drops("up0") == {"unknown_dst": i + 1}
    assert lab.where("g1", UNKNOWN, NEW[2]) == []
    assert lab.where("g1", UNKNOWN, M2) == []
    assert d.drops("g1") == {"maclimit": 1, "spoof": 1}
    assert lab.where("g2", UNKNOWN, NEW[0]) == []  # learned behind g1: never taken over
    assert d.drops("g2") == {"spoof": 1}
    d.evb("fdb flush port g1")
    wait_for("flushed", lambda: NEW[0] not in fdb(d))
    assert fdb(d)[M1]["state"] == "permanent"
    assert lab.where("g1", UNKNOWN, NEW[2]) == ["wire"]


def test_first_source_owns(net):
    """A port without address belongs to the first source it sends, until told otherwise."""
    lab = raw_station(net, "mode vepa", f"mac {M2} mode vepa")
    d = lab.evbd
    assert lab.where("wire", NEW[0], EXTERNAL) == []
    assert lab.where("g1", UNKNOWN, M2) == []  # not another's
    assert lab.where("g1", UNKNOWN, NEW[0]) == ["wire"]
    wait_for("owned", lambda: NEW[0] in fdb(d))
    assert lab.where("g1", UNKNOWN, NEW[1]) == []
    assert lab.where("wire", NEW[0], EXTERNAL) == ["g1"]
    assert d.drops("g1") == {"spoof": 2}
    d.evb(f"port set g1 mac {M1}")
    wait_for("forgotten", lambda: NEW[0] not in fdb(d))
    assert lab.where("g1", UNKNOWN, NEW[0]) == []
    assert lab.where("g1", UNKNOWN, M1) == ["wire"]
    d.evb("port set g1 mac none")
    assert lab.where("g1", UNKNOWN, NEW[3]) == ["wire"]
    wait_for("owned", lambda: NEW[3] in fdb(d))


def test_what_ages_on_an_edge_relay(net):
    """Further addresses age; the first of a port without address does not, nor provisioned ones."""
    lab = raw_station(net, "mode vepa", f"mac {M2} mode vepa maclimit 3",
                      extra="bridge set br0 ageing 1\n")
    d = lab.evbd
    lab.where("g1", UNKNOWN, NEW[0])
    lab.where("g2", UNKNOWN, NEW[1])
    wait_for("learned", lambda: NEW[0] in fdb(d))
    wait_for("aged out", lambda: NEW[1] not in fdb(d))
    assert set(fdb(d)) == {NEW[0], M2}
    assert lab.where("wire", NEW[0], EXTERNAL) == ["g1"]
    assert lab.where("g1", UNKNOWN, NEW[2]) == []


def test_standby_and_announcement(net):
    """In standby: nothing in, nothing out. Activated: the wire hears RARP from each address."""
    lab = raw_station(net, f"mac {M1},{M3} mode bridge standby on", f"mac {M2} mode bridge")
    d = lab.evbd
    assert d.port("g1")["operstate"] == "STANDBY"
    assert lab.where("g1", UNKNOWN, M1) == []
    assert lab.where("wire", M1, EXTERNAL) == []
    assert lab.where("wire", BROADCAST, EXTERNAL) == ["g2"]
    assert lab.where("g2", M1, M2) == ["wire"]  # its guest is still elsewhere
    assert d.drops("g1") == {"standby": 1}
    lab.ports["wire"].receive_all()
    d.evb("port set g1 standby off")
    heard = []

    def announced():
        heard.extend(lab.ports["wire"].receive_all())
        return {o[6:12].hex(":") for o in heard if o[12:14] == b"\x80\x35"} == {M1, M3}
    wait_for("RARP of each address on the wire", announced)
    for octets in heard:
        if octets[12:14] == b"\x80\x35":
            assert octets[:6] == b"\xff" * 6 and octets[14:22] == bytes.fromhex("0001080006040003")
            assert octets[22:28] == octets[32:38] == octets[6:12]
    assert lab.where("wire", M1, EXTERNAL) == ["g1"]
    assert lab.where("g2", M1, M2) == ["g1"]


def test_promisc(net):
    """Copies of what nobody owns; nothing of what others own."""
    lab = raw_station(net, f"mac {M1} mode vepa promisc on", f"mac {M2} mode vepa")
    assert lab.where("wire", UNKNOWN, EXTERNAL) == ["g1"]
    assert lab.where("wire", M2, EXTERNAL) == ["g2"]
    assert lab.where("wire", UNKNOWN, M1) == []  # never its own frame back
    lab.evbd.evb("port set g1 promisc off")
    assert lab.where("wire", UNKNOWN, EXTERNAL) == []
    assert lab.evbd.drops("up0") == {"unknown_dst": 2}


@pytest.mark.parametrize("mode", ["vepa", "bridge", "private"])
def test_reserved_mask(net, mode):
    """Reserved group addresses pass bit by bit, to the uplink only and to who asked only."""
    lab = raw_station(net, f"mac {M1} mode {mode} reserved 0x4008", f"mac {M2} mode {mode}")
    lldp, pae, stp = "01:80:c2:00:00:0e", "01:80:c2:00:00:03", "01:80:c2:00:00:00"
    for dst in (lldp, pae):
        assert lab.where("g1", dst, M1) == ["wire"]
        assert lab.where("g2", dst, M2) == []
        assert lab.where("wire", dst, EXTERNAL) == ["g1"]
    assert lab.where("g1", stp, M1) == []
    assert lab.where("wire", stp, EXTERNAL) == []
    assert lab.evbd.drops("g1") == {"reserved": 1}
    assert lab.evbd.drops("g2") == {"reserved": 2}
    assert lab.evbd.drops("up0") == {"control": 1}


@pytest.mark.parametrize("nodst", ["off", "on"])
def test_source_mode(net, nodst):
    """What a listed source sends comes whatever its destination, and nothing else comes."""
    lab = raw_station(net, f"mac {M1} mode source source {EXTERNAL},{NEW[0]} nodst {nodst}",
                      f"mac {M2} mode vepa")
    d = lab.evbd
    also = ["g2"] if nodst == "off" else []
    assert lab.where("wire", M2, EXTERNAL) == ["g1"] + also
    assert lab.where("wire", UNKNOWN, EXTERNAL) == ["g1"]
    assert lab.where("wire", BROADCAST, NEW[0]) == ["g1"] + also
    assert lab.where("wire", M1, NEW[1]) == []
    assert lab.where("wire", BROADCAST, NEW[1]) == ["g2"]
    assert lab.where("g1", M2, M1) == ["wire"]
    assert d.drops("up0") == {"source_filter": 1}
    d.evb(f"port set g1 source {NEW[1]}")
    assert lab.where("wire", UNKNOWN, EXTERNAL) == []
    assert lab.where("wire", UNKNOWN, NEW[1]) == ["g1"]


def test_passthru(net):
    """One port, everything passes both ways: foreign sources, tags, reserved; not PAUSE."""
    lab = raw_station(net, f"mac {M1} mode passthru")
    tag = {"tags": [(C_TAG, 77)]}
    assert lab.where("g1", UNKNOWN, NEW[5]) == ["wire"]
    assert lab.where("wire", UNKNOWN, NEW[6]) == ["g1"]
    assert lab.where("g1", "01:80:c2:00:00:0e", M1) == ["wire"]
    assert lab.where("wire", "01:80:c2:00:00:00", EXTERNAL) == ["g1"]
    got = lab.send([("g1", UNKNOWN, M1, tag), ("wire", M1, EXTERNAL, tag)])
    assert [o[12:16].hex() for _, o in got["wire"]] == ["8100004d"]
    assert [o[12:16].hex() for _, o in got["g1"]] == ["8100004d"]
    assert lab.where("g1", UNKNOWN, M1, ethertype=0x8808) == []
    assert lab.where("wire", UNKNOWN, EXTERNAL, ethertype=0x8808) == []
    assert lab.evbd.drops("g1") == {"mac_control": 1}
    assert lab.evbd.drops("up0") == {"mac_control": 1}


def test_local_traffic_without_carrier(net):
    """The cable is out: bridge mode goes on, what needs the wire is counted, and it comes back."""
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge", f"mac {M3} mode vepa")
    d, wire_ns = lab.evbd, net.spaces["wire"]
    wire_ns.ip("link set wire down")
    d.wait_port("up0", "LOWERLAYERDOWN")
    assert lab.where("g1", M2, M1) == ["g2"]
    assert lab.where("g1", BROADCAST, M1) == ["g2"]
    assert lab.where("g1", UNKNOWN, M1) == []
    assert lab.where("g3", M1, M3) == []
    assert d.drops("g1") == {"no_carrier": 1}
    assert d.drops("g3") == {"no_carrier": 1}
    assert d.port("g1")["operstate"] == "UP"
    wire_ns.ip("link set wire up")
    d.wait_port("up0", "UP")
    assert lab.where("g1", BROADCAST, M1) == ["g2", "wire"]


def test_without_uplink(net):
    """A relay whose uplink was deleted still switches locally."""
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge")
    lab.evbd.evb("port del up0")
    assert lab.where("g1", M2, M1) == ["g2"]
    assert lab.where("g1", UNKNOWN, M1) == []
    assert lab.evbd.drops("g1") == {"no_uplink": 1}


def test_bridges_are_apart(net):
    """Two edge relays in one daemon: the same addresses on both, and no frame gets across."""
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge")
    st, wire, guests = (net.spaces[name] for name in ("st", "wire", "guests"))
    net.veth(st, "up1", wire, "wire1")
    lab.evbd.evb("bridge add br1 uplink up1")
    for i, mac in ((3, M1), (4, M2)):
        lab.evbd.evb(f"port add g{i} bridge br1 tap netns {guests.name} mac {mac} mode bridge")
        lab.evbd.wait_port(f"g{i}", "UP")
        lab.ports[f"g{i}"] = RawPort(guests, f"g{i}")
    lab.evbd.wait_port("up1", "UP")
    lab.ports["wire1"] = RawPort(wire, "wire1")
    assert lab.where("g1", M2, M1) == ["g2"]
    assert lab.where("g3", M2, M1) == ["g4"]
    assert lab.where("g1", BROADCAST, M1) == ["g2", "wire"]
    assert lab.where("g4", BROADCAST, M2) == ["g3", "wire1"]
    assert lab.where("wire1", BROADCAST, EXTERNAL) == ["g3", "g4"]
    assert lab.where("wire", M1, EXTERNAL) == ["g1"]


def test_order_and_copies(net):
    """A thousand frames in a row: none lost, none twice, order kept, to one port and to many."""
    lab = raw_station(net, *(f"mac {m} mode bridge" for m in (M1, M2, M3)))
    for dst, receivers in ((M2, ["g2"]), (BROADCAST, ["g2", "g3", "wire"])):
        for _ in range(5):
            got = lab.send([("g1", dst, M1, {"size": 60 + i}) for i in range(200)])
            assert {k: [i for i, _ in v] for k, v in got.items()} == \
                {k: list(range(200)) for k in receivers}
    assert lab.evbd.port("g1", stats=True)["replicated"] == 2000


def test_unreadable_frames(net):
    """The shortest frame passes; frames longer than the port's MTU do not, in or out."""
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge mtu 1000", mtu=2000)
    net.spaces["guests"].ip("link set g1 mtu 3000")
    assert lab.where("g1", M2, M1, size=30) == ["g2"]
    assert lab.where("g1", M2, M1, size=1014) == ["g2"]
    assert lab.where("g1", M2, M1, size=1015) == []  # more than g2 takes
    assert lab.where("g1", UNKNOWN, M1, size=2014) == ["wire"]
    assert lab.where("g1", UNKNOWN, M1, size=2015) == []  # more than g1 may send
    assert lab.where("wire", M2, EXTERNAL, size=1014) == ["g2"]
    assert lab.where("wire", M2, EXTERNAL, size=1015) == []
    assert lab.evbd.drops("g1") == {"oversize": 1}
    assert lab.evbd.drops("g2") == {"mtu": 2}
