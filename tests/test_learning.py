# SPDX-License-Identifier: Apache-2.0
"""The learning relay: floods, learns, ages, moves, reflects; static entries; VLANs."""
import time

from evblib import Rpc, wait_for
from frames import BROADCAST, C_TAG, S_TAG, raw_relay, tag_of

A, B, C, D = (f"02:00:00:00:00:{c}" for c in ("0a", "0b", "0c", "0d"))


def fdb(evbd):
    return {(e["mac"], e.get("vlan")): e for e in evbd.call("fdb.show", bridge="sw0")}


def learned(lab, mac, port, vlan=1):
    wait_for(f"{mac} learned on {port}",
             lambda: fdb(lab.evbd).get((mac, vlan), {}).get("ifname") == port)
    return fdb(lab.evbd)[mac, vlan]


def test_flood_and_learn(net):
    lab = raw_relay(net, "", "", "")
    assert lab.where("p1", B, A) == ["p2", "p3"]
    assert learned(lab, A, "p1")["state"] == "learned"
    assert lab.where("p2", A, B) == ["p1"]
    learned(lab, B, "p2")
    assert lab.where("p1", B, A) == ["p2"]
    assert lab.where("p1", BROADCAST, A) == ["p2", "p3"]
    assert lab.where("p1", "01:00:5e:00:00:05", A) == ["p2", "p3"]
    assert lab.where("p1", A, C) == []  # it is on this very port
    assert lab.evbd.drops("p1") == {"same_port": 1}
    assert lab.where("p1", "01:80:c2:00:00:00", A) == []
    assert lab.where("p1", B, A, ethertype=0x8808) == []
    assert lab.where("p1", B, "03:00:00:00:00:01") == []
    assert lab.evbd.drops("p1") == {"same_port": 1, "control": 1, "mac_control": 1, "bad_source": 1}


def test_reflective_relay(net):
    """On: unicast to, and floods from, the ingress port go back to it. Off: they do not."""
    lab = raw_relay(net, "reflective-relay on", "", "")
    assert lab.where("p1", B, A) == ["p1", "p2", "p3"]
    learned(lab, A, "p1")
    assert lab.where("p1", A, B) == ["p1"]
    learned(lab, B, "p1")
    assert lab.where("p1", BROADCAST, A) == ["p1", "p2", "p3"]
    assert lab.where("p2", BROADCAST, C) == ["p1", "p3"]
    lab.evbd.evb("port set p1 reflective-relay off")
    assert lab.where("p1", A, B) == []
    assert lab.where("p1", BROADCAST, A) == ["p2", "p3"]
    assert lab.evbd.drops("p1") == {"same_port": 1}
    lab.evbd.evb("port set p1 reflective-relay on")
    assert lab.where("p1", A, B) == ["p1"]


def test_move(net):
    lab = raw_relay(net, "", "", "")
    lab.where("p1", BROADCAST, A)
    learned(lab, A, "p1")
    lab.where("p2", BROADCAST, A)
    learned(lab, A, "p2")
    assert lab.where("p3", A, C) == ["p2"]
    assert lab.evbd.json("bridge show sw0")[0]["n_moves"] == 1


def test_ageing(net):
    """An address that keeps silent is forgotten, and flooded to again; one that speaks is not."""
    lab = raw_relay(net, "", "", "", options="ageing 2")
    monitor = Rpc(lab.evbd.socket)
    monitor.call("monitor.subscribe", kinds=["fdb"])

    def a_is_gone():
        lab.where("p2", BROADCAST, B)
        return (A, 1) not in fdb(lab.evbd)
    lab.where("p1", BROADCAST, A)
    learned(lab, A, "p1")
    assert lab.where("p2", A, B) == ["p1"]
    wait_for("A aged out", a_is_gone)
    assert lab.where("p2", A, B) == ["p1", "p3"]
    end = time.monotonic() + 3.5  # longer than the ageing time
    while time.monotonic() < end:
        lab.where("p2", BROADCAST, B)
    lab.where("p1", BROADCAST, C)
    events = [monitor.next_event() for _ in range(4)]
    assert [(e["mac"], e["action"]) for e in events] == \
        [(A, "learn"), (B, "learn"), (A, "age"), (C, "learn")]
    monitor.close()


def test_ageing_time_can_change(net):
    lab = raw_relay(net, "", "", options="ageing 1000")
    lab.where("p1", BROADCAST, A)
    learned(lab, A, "p1")
    lab.evbd.evb("bridge set sw0 ageing 1")
    wait_for("A aged out", lambda: (A, 1) not in fdb(lab.evbd))


def test_static_entries(net):
    """They do not age or move; without them the address is learned like any other."""
    lab = raw_relay(net, "", "", "", options="ageing 2")
    d = lab.evbd
    d.evb(f"fdb add {A} port p3")
    assert fdb(d)[A, 1]["state"] in ("static", "permanent")
    assert lab.where("p1", A, B) == ["p3"]
    lab.where("p2", BROADCAST, A)
    lab.where("p2", BROADCAST, C)
    learned(lab, C, "p2")
    assert fdb(d)[A, 1]["ifname"] == "p3"
    wait_for("C aged out", lambda: (C, 1) not in fdb(d))
    assert lab.where("p1", A, B) == ["p3"]
    d.evb(f"fdb del {A} bridge sw0")
    assert lab.where("p1", A, B) == ["p2", "p3"]
    lab.where("p2", BROADCAST, A)
    learned(lab, A, "p2")


def test_flush(net):
    lab = raw_relay(net, "", "", "")
    lab.where("p1", BROADCAST, A)
    lab.where("p2", BROADCAST, B)
    learned(lab, A, "p1")
    learned(lab, B, "p2")
    lab.evbd.evb("fdb flush port p1")
    wait_for("A flushed", lambda: (A, 1) not in fdb(lab.evbd))
    assert (B, 1) in fdb(lab.evbd)
    assert lab.where("p2", A, B) == ["p1", "p3"]
    lab.evbd.evb("fdb flush bridge sw0")
    wait_for("B flushed", lambda: not fdb(lab.evbd))


def test_maclimit(net):
    """Beyond the limit of a port frames pass but are not learned."""
    lab = raw_relay(net, "maclimit 2", "", "")
    for mac in (A, B):
        lab.where("p1", BROADCAST, mac)
        learned(lab, mac, "p1")
    assert lab.where("p1", BROADCAST, C) == ["p2", "p3"]
    lab.where("p2", BROADCAST, D)
    learned(lab, D, "p2")
    assert (C, 1) not in fdb(lab.evbd)
    assert lab.where("p2", C, D) == ["p1", "p3"]


def test_vlans(net):
    """Each VLAN has members and addresses of its own; tags are put on and taken off."""
    lab = raw_relay(net, "vlan 10", "vlan 20", "trunk 10,20", "trunk 10,30 native 30")
    in10, in20, in30 = ({"tags": [(C_TAG, v)]} for v in (10, 20, 30))
    assert lab.where("p1", BROADCAST, A) == ["p3", "p4"]
    assert lab.where("p2", BROADCAST, A) == ["p3"]
    learned(lab, A, "p1", 10)
    learned(lab, A, "p2", 20)  # the same address, independently
    assert lab.where("p3", A, C, **in10) == ["p1"]
    assert lab.where("p3", A, C, **in20) == ["p2"]
    assert lab.where("p3", A, C, **in30) == []
    assert lab.where("p3", A, C) == []  # untagged, without a native VLAN
    assert lab.where("p4", BROADCAST, D) == []  # VLAN 30 has no other member
    assert lab.where("p4", BROADCAST, D, tags=[(S_TAG, 10)]) == []
    assert lab.evbd.drops("p3") == {"vlan": 2}
    got = lab.send([("p1", BROADCAST, A, {}), ("p3", A, C, in10)])
    assert tag_of(got["p3"][0][1]) == tag_of(got["p4"][0][1]) == (C_TAG, 10)
    assert tag_of(got["p1"][0][1]) is None


def test_many_addresses(net):
    """A thousand addresses behind one port: learned as they speak, then none is flooded."""
    lab = raw_relay(net, "", "", "")
    macs = [f"02:00:00:01:{i >> 8:02x}:{i & 255:02x}" for i in range(1000)]

    def all_learned():
        known = fdb(lab.evbd)
        missing = [m for m in macs if (m, 1) not in known]
        lab.send([("p1", B, m, {}) for m in missing[:200]])
        return not missing
    wait_for("all learned", all_learned)
    lab.where("p2", BROADCAST, B)
    learned(lab, B, "p2")
    assert len(fdb(lab.evbd)) == len(macs) + 1
    for i in range(0, len(macs), 200):
        got = lab.send([("p2", m, B, {}) for m in macs[i:i + 200]])
        assert set(got) == {"p1"} and len(got["p1"]) == 200
