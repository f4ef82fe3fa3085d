# SPDX-License-Identifier: Apache-2.0
"""Many ports that come and go while others carry traffic."""
import os
import random

from conftest import SEED
from evblib import Guest, Station, wait_for
from frames import BROADCAST, raw_station
from test_faults import Ping

M1, M2, M3 = (f"02:00:00:00:00:0{i}" for i in (1, 2, 3))


def test_ports_come_and_go_under_traffic(net):
    """200 ports of all modes added, changed and removed; the ping between two others loses none."""
    s = Station(net, [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge")])
    s.evbd.lost_ports = True
    many = net.ns("many")
    many.silence()
    ping = Ping(s.guests[0].ns, s.guests[1].ip4)
    rng = random.Random(SEED)
    modes = ["vepa", "bridge", "private", "source"]
    n_fds = None
    for n_ports in (200, 20):
        for i in range(n_ports):
            s.evbd.call("port.add", ifname=f"x{i}", bridge="br0", kind="tap", netns=many.name,
                        mac=[f"02:00:00:00:07:{i:02x}"], mode=rng.choice(modes))
        assert s.evbd.json("bridge show br0")[0]["n_ports"] >= n_ports + 2
        for i in rng.sample(range(n_ports), n_ports // 2):
            s.evbd.call("port.set", ifname=f"x{i}", mode=rng.choice(modes), vlan=rng.choice([1, 5]))
        order = list(range(n_ports))
        rng.shuffle(order)
        for i in order:
            s.evbd.call("port.del", ifname=f"x{i}")
        assert len(many.links()) == 1  # lo
        now = n_open(s.evbd)
        assert n_fds in (None, now), "descriptors are left open"
        n_fds = now
    assert ping.lost() <= 1
    s.guests[0].ns.run("ping", "-n", "-q", "-c", "1", "-W", "5", "10.0.0.100")


def n_open(evbd):
    return len(os.listdir(f"/proc/{evbd.process.pid}/fd"))


def test_flood_to_many(net):
    """One broadcast comes out of each of 100 ports once."""
    lab = raw_station(net, *(f"mac 02:00:00:00:07:{i:02x} mode bridge" for i in range(100)))
    got = lab.send([("g1", BROADCAST, "02:00:00:00:07:00", {})] * 20)
    assert set(got) == {f"g{i}" for i in range(2, 101)} | {"wire"}
    assert all(len(frames) == 20 for frames in got.values())
    assert lab.evbd.port("g1", stats=True)["replicated"] == 20 * 99


def test_counters_survive_changes(net):
    """Changing a port neither loses nor doubles what was counted."""
    lab = raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge")
    lab.send([("g1", M2, M1, {})] * 100)
    for change in ("mode vepa", "mode bridge", "offload off", "maclimit 3", "mtu 1400", "vlan 7"):
        lab.evbd.evb(f"port set g1 {change}")
        stats = lab.evbd.port("g1", stats=True)["stats64"]
        assert stats["rx"]["packets"] == 100 and stats["rx"]["bytes"] == 6400
    lab.evbd.assert_conserved()
    wait_for("g1 up", lambda: lab.evbd.port("g1")["operstate"] == "UP")
