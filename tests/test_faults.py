# SPDX-License-Identifier: Apache-2.0
"""Devices, namespaces and VMMs that go away and come back: evbd recovers by itself."""
import fcntl
import json
import os
import re
import signal
import struct
import subprocess

import pytest

from evblib import Guest, Rpc, Station, in_netns, ping_matrix, run, wait_for
from frames import BROADCAST, TYPE_TEST, frame, raw_station

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000
M1, M2, M3 = (f"02:00:00:00:00:0{i}" for i in (1, 2, 3))


class Ping:
    """A ping that runs until it is asked how many answers were missing."""

    def __init__(self, ns, address):
        self.process = ns.popen("ping", "-n", "-q", "-i", "0.01", address,
                                stdout=subprocess.PIPE, text=True)

    def lost(self):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=20)
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received",
                                            out).groups())
        assert sent > 20
        return sent - received


@pytest.fixture
def station(net):
    """Two bridge-mode guests that ping each other all the time, and a vepa guest."""
    s = Station(net, [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge"),
                      Guest(net, 3, mode="vepa")])
    hosts = s.hosts()
    s.to_outside = lambda: ping_matrix(hosts, [(g.name, "out") for g in s.guests])
    s.all_to_outside = {(g.name, "out") for g in s.guests}
    assert s.to_outside() == s.all_to_outside
    s.local = Ping(s.guests[0].ns, s.guests[1].ip4)
    return s


def recovered(s, uplink="up0"):
    """All is as before, by itself, and the local ping never noticed."""
    p = s.evbd.wait_port(uplink, "UP")
    assert "reason" not in p
    assert s.to_outside() == s.all_to_outside
    assert s.local.lost() <= 1  # one may be under way when ping is told to stop


def down(s, name, state, *reasons):
    p = s.evbd.wait_port(name, state)
    assert any(r in p["reason"] for r in reasons), p
    assert "hint" in p
    return p


def test_uplink_set_down(station):
    s = station
    s.st.ip("link set up0 down")
    down(s, "up0", "DOWN", "down")
    assert s.to_outside() == set()
    s.st.ip("link set up0 up")
    recovered(s)


def test_carrier_lost(station):
    s = station
    s.sw.ip("link set st0 down")
    down(s, "up0", "LOWERLAYERDOWN", "carrier")
    assert s.to_outside() == set()
    s.sw.ip("link set st0 up")
    recovered(s)


def test_uplink_mtu_changes(station):
    s = station
    s.st.ip("link set up0 mtu 1300")
    for g in s.guests:
        wait_for("port follows", lambda: s.evbd.port(g.name)["mtu"] == 1300)
        assert g.ns.links()["eth0"]["mtu"] == 1300
    s.st.ip("link set up0 mtu 1500")
    for g in s.guests:
        wait_for("port follows", lambda: s.evbd.port(g.name)["mtu"] == 1500)
    recovered(s)


def test_uplink_renamed(station):
    s = station
    s.st.ip("link set up0 down", "link set up0 name wan7", "link set wan7 up")
    wait_for("follows the name", lambda: s.evbd.port("up0").get("dev") == "wan7")
    recovered(s)
    assert "wan7" in s.evbd.evb("config show").stdout


def test_uplink_deleted_and_back(station):
    s = station
    s.st.ip("link del up0")
    p = down(s, "up0", "DOWN", "not exist", "removed", "gone")
    assert "up0" in p["reason"]
    assert s.to_outside() == set()
    s.net.veth(s.st, "up0", s.sw, "st0")
    s.adjacent.wait_port("p-st", "UP")
    recovered(s)


def test_guest_namespace_deleted_and_back(net, station):
    """That port alone is down, says why, and works again when the namespace is back."""
    s = station
    g = s.guests[2]
    g.ns.delete()
    p = down(s, "g3", "DOWN", "namespace")
    assert g.ns.name in p["reason"]
    assert s.evbd.port("g1")["operstate"] == s.evbd.port("up0")["operstate"] == "UP"
    g.ns.create()
    s.evbd.wait_port("g3", "UP")
    assert g.ns.mac("eth0") == g.mac
    g.addresses()
    recovered(s)


def test_guest_deletes_its_device(station):
    """A tap that its guest removed is made anew."""
    s = station
    g = s.guests[2]
    g.ns.ip("link del eth0")
    wait_for("eth0 is back", lambda: "eth0" in g.ns.links())
    s.evbd.wait_port("g3", "UP")
    g.addresses()
    recovered(s)


def test_guest_sets_its_device_down(station):
    """What a guest does with its device is its own business, and of no effect on others."""
    s = station
    g = s.guests[2]
    g.ns.ip("link set eth0 down")
    s.guests[0].ns.run("ping", "-n", "-q", "-c", "2", "-W", "1", "10.0.0.100")
    g.ns.ip("link set eth0 up")
    recovered(s)


def test_events_tell_of_faults(station):
    s = station
    monitor = Rpc(s.evbd.socket)
    monitor.call("monitor.subscribe", kinds=["link", "fault"])
    s.st.ip("link del up0")
    seen = {}
    while "fault" not in seen or "link" not in seen:
        e = monitor.next_event()
        assert e["ifname"] == "up0" and e["reason"]
        seen[e["kind"]] = e
    assert seen["link"]["operstate"] == "DOWN"
    assert seen["fault"]["hint"]
    s.net.veth(s.st, "up0", s.sw, "st0")
    s.adjacent.wait_port("p-st", "UP")
    recovered(s)
    while (e := monitor.next_event()).get("operstate") != "UP":
        assert e["ifname"] == "up0"
    monitor.close()


# --- taps whose queue a VMM opens -----------------------------------------------------------


class Vmm:
    """The end of a tap that a VMM holds."""

    def __init__(self, ns, dev):
        request = struct.pack("16sH22x", dev.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
        with in_netns(ns.path):  # a tun descriptor belongs to the namespace it was opened in
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, TUNSETIFF, request)

    def send(self, octets):
        os.write(self.fd, bytes(10) + octets)

    def receive_all(self):
        got = []
        while True:
            try:
                got.append(os.read(self.fd, 1 << 17)[10:])
            except BlockingIOError:
                return got

    def close(self):
        os.close(self.fd)


def vmm_station(net):
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M3} mode bridge",
                      extra=f"port add vm2 bridge br0 tap mac {M2} mode bridge\n")
    return lab, net.spaces["st"]


def test_vmm_opens_and_closes(net):
    lab, st = vmm_station(net)
    d = lab.evbd
    for _ in range(2):
        p = d.wait_port("vm2", "DOWN")
        assert "VMM" in p["reason"] and "vm2" in p["hint"], p
        assert lab.where("g1", M3, M1) == ["g2"]
        before = d.drops("vm2").get("port_down", 0)
        assert lab.where("g1", M2, M1) == []
        assert d.drops("vm2")["port_down"] == before + 1
        vmm = Vmm(st, "vm2")
        d.wait_port("vm2", "UP")
        vmm.receive_all()
        vmm.send(frame(M1, M2, 77))
        wait_for("g1 has it", lambda: frame(M1, M2, 77) in lab.ports["g1"].receive_all())
        vmm.send(frame(M1, M3, 78))  # spoofed
        wait_for("counted", lambda: d.drops("vm2").get("spoof"))
        assert lab.where("g1", M2, M1) == []
        got = [o for o in vmm.receive_all() if o[12:14] == TYPE_TEST.to_bytes(2, "big")]
        assert len(got) == 1 and got[0][:6] == bytes.fromhex(M2.replace(":", ""))
        vmm.close()


def test_vmm_does_not_read(net):
    """A queue that nobody empties overflows alone: all others get everything."""
    lab, st = vmm_station(net)
    vmm = Vmm(st, "vm2")
    lab.evbd.wait_port("vm2", "UP")
    for _ in range(15):
        got = lab.send([("g1", BROADCAST, M1, {"size": 1000}) for _ in range(200)])
        assert len(got["g2"]) == len(got["wire"]) == 200
        assert lab.where("g1", M2, M1) == []
    assert len(vmm.receive_all()) < 3000
    drops = {n: p.get("drops", {}) for n, p in lab.evbd.ports().items()}
    assert {n: d for n, d in drops.items() if n != "vm2" and d} == {}
    assert lab.where("g1", M2, M1) == []
    assert len([o for o in vmm.receive_all() if o[12:14] == b"\x88\xb5"]) == 1  # it works again
    vmm.close()


def test_guest_queue_full_is_counted(net):
    """A packet port whose peer's queue is full: counted as queue_full there, and only there."""
    lab, st = vmm_station(net)
    st.ip("link set vm2 txqueuelen 10")
    vmm = Vmm(st, "vm2")
    lab.evbd.wait_port("vm2", "UP")
    lab.send([("g1", M2, M1, {}) for _ in range(200)])
    drops = {n: p["drops"] for n, p in lab.evbd.ports().items() if p.get("drops")}
    lost = drops.pop("vm2", {}).get("queue_full", 0)
    assert lost == dropped_by_device(st, "vm2")
    assert drops == {}
    assert len([o for o in vmm.receive_all() if o[12:14] == b"\x88\xb5"]) + lost == 200
    assert lost > 0
    vmm.close()


def dropped_by_device(ns, dev):
    (link,) = json.loads(run(["ip", "-n", ns.name, "-j", "-s", "link", "show", dev]).stdout)
    return link["stats64"]["tx"]["dropped"]
