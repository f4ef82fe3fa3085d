# SPDX-License-Identifier: Apache-2.0
"""Limits of ports as a user notices them: rates both ways, packets, storms, changes meanwhile."""
import time

import pytest

from evblib import Guest, Station, iperf, ping_matrix, run
from frames import BROADCAST, RawPort, frame, number_of

MBIT = 1e6
OUT = "10.0.0.100"
FRAME = 1514 / 1448  # of TCP


def tcp(station, guest, *args, seconds=3, **kw):
    """Payload bits a second of TCP that arrived."""
    return iperf(station.out, guest.ns, OUT, *args, seconds=seconds,
                 **kw)["end"]["sum_received"]["bits_per_second"]


def datagrams(ns):
    """UDP datagrams that programs there have read: a device counts several in a frame as one."""
    names, values = [line.split() for line in ns.run("cat", "/proc/net/snmp").stdout.splitlines()
                     if line.startswith("Udp:")]
    return int(values[names.index("InDatagrams")])


def udp(station, guest, rate, *args, size=1400):
    """Bits and packets a second of UDP that arrive when the burst is over, `rate` being sent."""
    ns, seen = guest.ns if "-R" in args else station.out, []

    def watch(_):
        for pause in (1, 1.5):
            time.sleep(pause)
            seen.append((time.monotonic(), datagrams(ns)))
    iperf(station.out, guest.ns, OUT, "-u", "-b", str(int(rate)), "-l", str(size), *args,
          seconds=3, before_end=watch)
    (begin, before), (end, after) = seen
    packets = (after - before) / (end - begin)
    return packets * (size + 42) * 8, packets


def near(got, limit):
    return 0.9 * limit < got < 1.1 * limit


@pytest.fixture
def station(net):
    """g1 is limited, g2 is not."""
    return Station(net, [Guest(net, 1, rate_in="40mbit", rate_out="20mbit"), Guest(net, 2)])


def test_rates(station):
    g1, g2 = station.guests
    assert near(udp(station, g1, 100 * MBIT)[0], 40 * MBIT)
    assert near(udp(station, g1, 100 * MBIT, "-R")[0], 20 * MBIT)
    d = station.evbd.drops("g1")
    assert d.keys() == {"rate", "rate_out"}
    # within the limit nothing is lost
    before = station.evbd.drops("g1")
    assert near(udp(station, g1, 30 * MBIT)[0], 30 * MBIT)
    assert near(udp(station, g1, 10 * MBIT, "-R")[0], 10 * MBIT)
    assert station.evbd.drops("g1") == before
    # the neighbour has all there is
    assert near(udp(station, g2, 150 * MBIT)[0], 150 * MBIT)
    assert not station.evbd.drops("g2")
    assert "rate-in 40mbit" in station.evbd.evb("port show g1").stdout
    assert "beyond the port's rate-in" in station.evbd.evb("drops show g1").stdout


def test_tcp(station):
    """A sender that listens to losses gets the rate as well, in GSO frames."""
    g1, _ = station.guests
    assert near(tcp(station, g1, "-O", "1") * FRAME, 40 * MBIT)
    assert near(tcp(station, g1, "-R", "-O", "1") * FRAME, 20 * MBIT)


def test_changes_while_frames_fly(station):
    g1, _ = station.guests
    station.evbd.evb("port set g1 rate-in none rate-out none")
    shown = station.evbd.port("g1")
    assert "rate-in" not in shown and "burst-in" not in shown

    def change(_):
        for _ in range(3):
            time.sleep(0.2)
            station.evbd.evb("port set g1 rate-in 50mbit")
            station.evbd.evb("port set g1 rate-in none mode bridge")
            station.evbd.evb("port set g1 pps-in 1000000 mode vepa")
    assert tcp(station, g1, seconds=2, before_end=change) > 100 * MBIT
    station.evbd.evb("port set g1 rate-in 10mbit burst-in 20k")
    assert near(udp(station, g1, 50 * MBIT)[0], 10 * MBIT)
    assert station.evbd.port("g1")["burst-in"] == 20480


def test_packets(station):
    """Packets a second, whatever their size, both ways; a limit of the uplink is everybody's."""
    g1, g2 = station.guests
    station.evbd.evb("port set g1 rate-in none rate-out none pps-in 1000 pps-out 2000")
    bits = 8 * 100
    assert near(udp(station, g1, 5000 * bits, size=100)[1], 1000)
    assert near(udp(station, g1, 5000 * bits, "-R", size=100)[1], 2000)
    station.evbd.evb("port set up0 pps-out 500")
    assert near(udp(station, g2, 5000 * bits, size=100)[1], 500)
    # a flood of the adjacent bridge, before it has learned all, may be among them
    assert {"rate_out"} <= station.evbd.drops("up0").keys() <= {"rate_out", "unknown_dst"}
    assert "rate" not in station.evbd.drops("g2")


def test_storm(station):
    """Broadcasts without end, of which a hundred a second pass; the guest's pings all do."""
    g1, g2 = station.guests
    station.evbd.evb("port set g1 rate-in none storm-broadcast 100")
    assert ping_matrix(station.hosts(), [("g1", "out")])  # addresses are known
    before = station.evbd.port("up0", stats=True)["stats64"]["tx"]["packets"]
    begin = time.monotonic()
    with RawPort(g1.ns, "eth0") as raw:
        p = g1.ns.popen("ping", "-n", "-q", "-c", "50", "-i", "0.02", OUT)
        while p.poll() is None:
            for i in range(50):
                raw.send(frame(BROADCAST, g1.mac, i))
            time.sleep(0.005)
        assert p.returncode == 0
        took = time.monotonic() - begin
    passed = station.evbd.port("up0", stats=True)["stats64"]["tx"]["packets"] - before - 50
    assert passed < 1.1 * (100 * took + 25) + 10
    assert station.evbd.drops("g1").keys() == {"storm"}
    assert station.evbd.drops("g1")["storm"] > 1000
    # another port floods as it likes
    with RawPort(g2.ns, "eth0") as raw:
        for i in range(500):
            raw.send(frame(BROADCAST, g2.mac, i))
    station.evbd.assert_conserved()
    assert "storm" not in station.evbd.drops("g2")


def test_storm_of_learning_bridge(station):
    """The adjacent bridge holds what it would have to flood."""
    adjacent, (g1, _) = station.adjacent, station.guests
    station.evbd.evb("port set g1 rate-in none")
    adjacent.evb("port set p-st storm-unknown 50")
    with RawPort(g1.ns, "eth0") as raw:
        for i in range(1000):
            raw.send(frame("02:00:00:00:77:77", g1.mac, i))
    adjacent.assert_conserved()
    assert adjacent.drops("p-st")["storm"] > 900
    assert ping_matrix(station.hosts(), [("g1", "out")])


def test_priority(net):
    """A wire that takes a third of what two guests send: the urgent one loses nothing."""
    station = Station(net, [Guest(net, 1), Guest(net, 2, pcp=5)])
    g1, g2 = station.guests
    run(["tc", "-n", station.st.name, "qdisc", "add", "dev", "up0", "root", "tbf",
         "rate", "20mbit", "burst", "16kb", "limit", "300kb"])
    urgent = range(1000)
    with RawPort(g2.ns, "eth0") as raw, RawPort(station.out, "eth0") as far:
        out = station.out.mac("eth0")

        def send(_):
            time.sleep(1)  # the queue has been full by now
            far.receive_all()
            for i in urgent:
                raw.send(frame(out, g2.mac, i, size=500))
                time.sleep(0.002)
            time.sleep(0.3)
        iperf(station.out, g1.ns, OUT, "-u", "-b", "60M", "-l", "1400", seconds=4, before_end=send)
        got = [n for n in map(number_of, far.receive_all()) if n is not None]
    assert got == list(urgent)
    assert station.evbd.drops("up0").get("congested", 0) > 1000
    assert station.evbd.port("g2")["pcp"] == 5
