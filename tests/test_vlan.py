# SPDX-License-Identifier: Apache-2.0
"""VLANs of an edge relay: access and trunk ports, native VLAN, priority tags, S-tags."""
import itertools

import pytest

from evblib import Guest, Station, ping_matrix
from test_offload import checksum_errors, send_tcp, send_udp
from frames import BROADCAST, C_TAG, S_TAG, raw_station, tag_of

M1, M2, M3, M4 = (f"02:00:00:00:00:0{i}" for i in range(1, 5))
EXTERNAL, UNKNOWN = "02:00:00:00:dd:01", "02:00:00:00:ee:01"


def tags(*tci):
    return {"tags": [(C_TAG, t) for t in tci]}


def seen(got):
    """Which frame came out where with which tag; frames of several senders have no order."""
    return {key: sorted((i, tag_of(o)) for i, o in frames) for key, frames in got.items()}


def test_access_ports_and_the_wire(net):
    """Untagged at the guest, tagged on the wire; one address may be in two VLANs."""
    lab = raw_station(net, f"mac {M1} mode bridge vlan 10", f"mac {M2} mode bridge vlan 10",
                      f"mac {M1} mode bridge vlan 20", f"mac {M4} mode vepa vlan 20")
    got = lab.send([("g1", UNKNOWN, M1, {}), ("g3", UNKNOWN, M1, {}), ("g1", M2, M1, {}),
                    ("g3", M2, M1, {}), ("g1", BROADCAST, M1, {})])
    assert seen(got) == {
        "wire": [(0, (C_TAG, 10)), (1, (C_TAG, 20)), (3, (C_TAG, 20)), (4, (C_TAG, 10))],
        "g2": [(2, None), (4, None)]}
    assert lab.where("wire", M1, EXTERNAL, **tags(10)) == ["g1"]
    assert lab.where("wire", M1, EXTERNAL, **tags(20)) == ["g3"]
    assert lab.where("wire", M1, EXTERNAL, **tags(30)) == []
    assert lab.where("wire", M1, EXTERNAL) == []
    assert lab.where("wire", BROADCAST, EXTERNAL, **tags(20)) == ["g3", "g4"]
    # Reflected within VLAN 20 from g4 (vepa) to g3; the g1 of that address is in VLAN 10.
    assert lab.where("wire", M1, M4, **tags(20)) == ["g3"]


@pytest.mark.parametrize("shape", [tags(10), tags(20), {"tags": [(S_TAG, 10)]},
                                   {"tags": [(S_TAG, 0), (C_TAG, 10)]}, tags(4095)],
                         ids=["own VID", "other VID", "S-tag", "Q-in-Q", "VID 4095"])
def test_access_port_takes_no_tags(net, shape):
    lab = raw_station(net, f"mac {M1} mode bridge vlan 10", f"mac {M2} mode bridge vlan 10")
    assert lab.where("g1", M2, M1, **shape) == []
    assert lab.where("g1", UNKNOWN, M1, **shape) == []
    assert lab.evbd.drops("g1") == {"vlan": 2}


def test_priority_tag(net):
    """VID 0 is taken as untagged, and its priority survives where there is a tag to bear it."""
    lab = raw_station(net, f"mac {M1} mode bridge vlan 10", f"mac {M2} mode bridge vlan 10",
                      f"mac {M3} mode bridge trunk 10")
    got = lab.send([("g1", UNKNOWN, M1, tags(5 << 13)), ("g1", M2, M1, tags(5 << 13)),
                    ("g1", M3, M1, tags(5 << 13)), ("wire", M1, EXTERNAL, tags(3 << 13 | 10))])
    assert [tag_of(o) for _, o in got["wire"]] == [(C_TAG, 5 << 13 | 10)]
    assert [tag_of(o) for _, o in got["g3"]] == [(C_TAG, 5 << 13 | 10)]
    assert [i for i, _ in got["g2"]] == [1]
    assert [i for i, _ in got["g1"]] == [3]


def test_trunk_port(net):
    """A trunk takes its VLANs, and untagged frames only with a native VLAN."""
    lab = raw_station(net, f"mac {M1} mode bridge trunk 10,20-22", f"mac {M2} mode bridge vlan 20",
                      f"mac {M3} mode bridge trunk 20,30 native 30", f"mac {M4} mode vepa vlan 30")
    got = lab.send([("g1", M2, M1, tags(20)), ("g1", M3, M1, tags(20)), ("g1", M2, M1, tags(10)),
                    ("g1", UNKNOWN, M1, tags(22)), ("g1", UNKNOWN, M1, tags(23)),
                    ("g1", UNKNOWN, M1, {}), ("g3", UNKNOWN, M3, {}),
                    ("g1", BROADCAST, M1, tags(6 << 13 | 20))])
    assert seen(got) == {"g2": [(0, None), (7, None)],
                    "g3": [(1, (C_TAG, 20)), (7, (C_TAG, 6 << 13 | 20))],
                    "wire": [(2, (C_TAG, 10)), (3, (C_TAG, 22)), (6, (C_TAG, 30)),
                             (7, (C_TAG, 6 << 13 | 20))]}
    assert lab.evbd.drops("g1") == {"vlan": 2}
    got = lab.send([("wire", M3, EXTERNAL, tags(30)), ("wire", M3, EXTERNAL, tags(20)),
                    ("wire", M1, EXTERNAL, tags(21)), ("wire", M1, EXTERNAL, tags(30))])
    assert seen(got) == {"g3": [(0, None), (1, (C_TAG, 20))], "g1": [(2, (C_TAG, 21))]}


def test_membership_changes(net):
    lab = raw_station(net, f"mac {M1} mode bridge vlan 10", f"mac {M2} mode bridge vlan 10")
    assert lab.where("g1", M2, M1) == ["g2"]
    lab.evbd.evb("port set g2 vlan 11")
    assert lab.where("g1", M2, M1) == ["wire"]
    assert lab.where("wire", M2, EXTERNAL, **tags(10)) == []
    assert lab.where("wire", M2, EXTERNAL, **tags(11)) == ["g2"]
    lab.evbd.evb("port set g1 trunk 10-11 native 10")
    assert lab.where("g1", M2, M1) == ["wire"]
    assert lab.where("g1", M2, M1, **tags(11)) == ["g2"]
    lab.evbd.evb("port set g1 vlan none trunk none")
    assert lab.where("g1", M2, M1, **tags(11)) == []
    assert lab.where("g1", UNKNOWN, M1) == ["wire"]


def test_native_vlan_of_the_uplink(net):
    """Untagged on the wire is VLAN 1, or what the uplink says."""
    lab = raw_station(net, f"mac {M1} mode vepa", f"mac {M2} mode vepa vlan 7")
    assert lab.where("wire", M1, EXTERNAL) == ["g1"]
    assert lab.where("wire", M2, EXTERNAL) == []
    lab.evbd.evb("port set up0 native 7")
    assert lab.where("wire", M1, EXTERNAL) == []
    assert lab.where("wire", M2, EXTERNAL) == ["g2"]
    got = lab.send([("g1", UNKNOWN, M1, {}), ("g2", UNKNOWN, M2, {})])
    assert [tag_of(o) for _, o in got["wire"]] == [(C_TAG, 1), None]


def both_tags(octets):
    """The S-tag's TCI and what is behind it: the TCI of a C-tag, or None."""
    tpid, tci = tag_of(octets)
    assert tpid == S_TAG
    inner = tag_of(octets[:12] + octets[16:])
    return tci, inner and inner[1]


def test_service_tag_of_the_uplink(net):
    """All that is sent has the S-tag outside, with its priority; only what has it is taken."""
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode vepa vlan 10",
                      f"mac {M3} mode bridge trunk 20")
    lab.evbd.evb("port set up0 svlan 100")
    assert lab.evbd.port("up0")["mtu"] == 1492 == lab.evbd.port("g1")["mtu"]
    assert "svlan 100" in lab.evbd.evb("config show").stdout
    got = lab.send([("g1", UNKNOWN, M1, {}), ("g2", UNKNOWN, M2, {}), ("g2", M1, M2, tags(3 << 13)),
                    ("g3", UNKNOWN, M3, tags(6 << 13 | 20)), ("g1", BROADCAST, M1, {})])
    assert {i: both_tags(o) for i, o in got["wire"]} == {
        0: (100, None), 1: (100, 10), 2: (3 << 13 | 100, 3 << 13 | 10),
        3: (6 << 13 | 100, 6 << 13 | 20), 4: (100, None)}

    def s_tags(tci, *inner):
        return {"tags": [(S_TAG, tci), *((C_TAG, t) for t in inner)]}
    got = lab.send([("wire", M1, EXTERNAL, s_tags(100)), ("wire", M2, EXTERNAL, s_tags(100, 10)),
                    ("wire", M3, EXTERNAL, s_tags(7 << 13 | 100, 5 << 13 | 20)),
                    ("wire", M1, EXTERNAL, s_tags(100, 10)),
                    ("wire", M2, EXTERNAL, s_tags(101, 10)),
                    ("wire", M2, EXTERNAL, tags(10)), ("wire", M1, EXTERNAL, {}),
                    ("wire", M2, EXTERNAL, {"tags": [(C_TAG, 100), (C_TAG, 10)]})])
    assert seen(got) == {"g1": [(0, None)], "g2": [(1, None)], "g3": [(2, (C_TAG, 5 << 13 | 20))]}
    assert lab.evbd.drops("up0") == {"vlan": 4, "unknown_dst": 1}
    lab.evbd.evb("port set up0 svlan none")
    assert lab.where("wire", M1, EXTERNAL) == ["g1"]
    assert lab.where("wire", M1, EXTERNAL, **s_tags(100)) == []


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("mtu, devices", [(1492, 1500), (1500, 1508)])
def test_traffic_through_a_service_vlan(net, offload, mtu, devices):
    """Two stations, each with an access port and a trunk, joined by S-VLAN 100, with GSO frames."""
    ends = net.ns("st", "far")
    net.veth(ends[0], "up0", ends[1], "up0", devices)
    guests = [Guest(net, i, mode="bridge", offload=offload, vlan=10) for i in (1, 2)]
    for ns, guest in zip(ends, guests):
        net.evbd(ns, f"bridge add br0 uplink up0\nport set up0 svlan 100\n{guest.line()}\n")
        guest.addresses()
    a, b = guests
    assert a.ns.links()["eth0"]["mtu"] == mtu
    a.ns.run("ping", "-n", "-q", "-c", "2", "-i", "0.1", "-M", "do", "-s", mtu - 28, b.ip4)
    for family in ("ip4", "ip6"):
        send_tcp(family, b.ns, a.ns, getattr(b, family))
        send_udp(family, b.ns, a.ns, getattr(b, family), 1200, 30_000)
    assert checksum_errors(a.ns) == checksum_errors(b.ns) == 0


def test_source_lists_keep_to_their_vlan(net):
    lab = raw_station(net, f"mac {M1} mode source source {EXTERNAL} nodst on vlan 10",
                      f"mac {M2} mode vepa vlan 20", f"mac {M3} mode vepa vlan 10")
    assert lab.where("wire", M2, EXTERNAL, **tags(20)) == ["g2"]
    assert lab.where("wire", BROADCAST, EXTERNAL, **tags(20)) == ["g2"]
    assert lab.where("wire", M3, EXTERNAL, **tags(10)) == ["g1"]


def test_ping_in_vlans(net):
    """Two VLANs of vepa and bridge ports through a tagged wire and a reflecting bridge."""
    guests = [Guest(net, i, mode=mode, vlan=vlan) for i, (mode, vlan) in
              enumerate([("vepa", 10), ("bridge", 10), ("vepa", 20), ("bridge", 20)], 1)]
    s = Station(net, guests)
    s.adjacent.evb("port set p-st trunk 10,20")
    s.adjacent.evb("port set p-out vlan 10")
    hosts = s.hosts()
    pairs = list(itertools.permutations(hosts, 2))
    vlan = {"g1": 10, "g2": 10, "g3": 20, "g4": 20, "out": 10}
    assert ping_matrix(hosts, pairs) == {(a, b) for a, b in pairs if vlan[a] == vlan[b]}
