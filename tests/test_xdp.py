# SPDX-License-Identifier: Apache-2.0
"""XDP uplinks: guests get theirs by AF_XDP, and the host keeps its address and its tools."""
import re
import signal
import subprocess

import pytest

from evblib import Guest, Refused, Station, iperf, ping_matrix, run, wait_for
from frames import BROADCAST, RawPort, frame, number_of

HOST4, HOST6 = "10.0.0.50", "fd00::50"


def program(ns, dev="up0"):
    """What `ip link` shows of an XDP program."""
    return ns.links()[dev].get("xdp")


class XdpStation(Station):
    """Whose uplink is an XDP port, and whose host has addresses on its device."""

    def __init__(self, net, guests, driver="xdp", **kw):
        super().__init__(net, guests, switch="linux", start=False, **kw)
        self.config = self.config.replace("uplink up0", f"uplink up0 driver {driver}")
        self.st.ip(f"addr add {HOST4}/24 dev up0", f"addr add {HOST6}/64 dev up0 nodad")

    def start(self, name="station"):
        self.evbd = self.net.evbd(self.st, self.config, name=name)
        for g in self.guests:
            g.addresses()
        return self

    def hosts(self):
        return {**super().hosts(), "host": (self.st, HOST4)}

    def hosts6(self):
        return {**{g.name: (g.ns, g.ip6) for g in self.guests}, "out": (self.out, "fd00::100"),
                "host": (self.st, HOST6)}

    def uplink(self):
        return self.evbd.port("up0", stats=True)

    def all_reach_outside(self):
        names = [g.name for g in self.guests] + ["host"]
        pairs = {(n, "out") for n in names} | {("out", n) for n in names}
        return ping_matrix(self.hosts(), pairs) == pairs


@pytest.fixture
def station(net):
    return XdpStation(net, [Guest(net, 1, mode="vepa"), Guest(net, 2, mode="vepa")]).start()


def test_everybody_reaches_everybody_outside(station):
    """VEPA guests by the reflecting bridge, both families; the host keeps its addresses."""
    s = station
    p = s.uplink()
    assert (p["kind"], p["driver"], p["uses"]) == ("xdp", "xdp", "xdp")
    assert (p["xdp-mode"], p["xdp-copy"]) == ("native", "copy")
    assert p["xdp-queues"] >= 1
    names = ["g1", "g2", "out"]
    pairs = {(a, b) for a in names for b in names if a != b}
    pairs |= {("host", "out"), ("out", "host")}
    assert ping_matrix(s.hosts(), pairs) == pairs
    assert ping_matrix(s.hosts6(), pairs) == pairs
    s.evbd.assert_conserved()


@pytest.mark.parametrize("family", ["-4", "-6"])
@pytest.mark.parametrize("way", ["in", "out", "udp"])
def test_traffic(station, family, way):
    s = station
    g = s.guests[0]
    args = [family] + (["-R"] if way == "in" else []) + (["-u", "-l", "1200"] if way == "udp"
                                                         else [])
    address = "10.0.0.100" if family == "-4" else "fd00::100"
    result = iperf(s.out, g.ns, address, *args)
    assert result["end"]["sum_received" if way != "udp" else "sum"]["bytes"] > 1 << 20
    # No checksum was wrong at either end.
    for ns in (g.ns, s.out):
        for line in ns.run("nstat", "-az", "TcpInCsumErrors", "UdpInCsumErrors",
                           "Udp6InCsumErrors").stdout.splitlines()[1:]:
            assert line.split()[1] == "0", line
    s.evbd.assert_conserved()


def test_host_keeps_its_tools(station):
    """tcpdump on the device sees the host's frames and broadcasts, and iperf3 of the host works."""
    s = station
    dump = s.st.popen("tcpdump", "-lnei", "up0", "icmp or arp", stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE, text=True)
    while "listening" not in dump.stderr.readline():
        pass
    assert ping_matrix(s.hosts(), {("out", "host"), ("out", "g1")}) == {("out", "host"),
                                                                      ("out", "g1")}
    assert iperf(s.st, s.out, HOST4)["end"]["sum_received"]["bytes"] > 1 << 20
    dump.send_signal(signal.SIGINT)
    seen, _ = dump.communicate(timeout=20)
    assert f"10.0.0.100 > {HOST4}: ICMP echo request" in seen
    assert "Request who-has 10.0.0.1 " in seen  # a broadcast for a guest
    assert "10.0.0.100 > 10.0.0.1: ICMP echo request" not in seen


def outside_sends(s, dst, number):
    with RawPort(s.out, "eth0") as out:
        out.send(frame(dst, s.out.mac("eth0"), number))


def who_gets(s, dst, number):
    """Which of the guests and the host get one frame from outside."""
    places = {g.name: RawPort(g.ns, "eth0") for g in s.guests}
    places["host"] = RawPort(s.st, "up0")
    for port in places.values():
        port.receive_all()
    outside_sends(s, dst, number)

    def heard():
        for name, port in places.items():
            if any(number_of(f) == number for f in port.receive_all()):
                got.add(name)
        return False
    got = set()
    try:
        wait_for("nothing", heard, timeout=0.4)
    except AssertionError:
        pass
    for port in places.values():
        port.close()
    return got


def test_who_gets_what(net):
    g = [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="vepa")]
    s = XdpStation(net, g).start()
    host = s.st.mac("up0")
    assert who_gets(s, BROADCAST, 1) == {"g1", "g2", "host"}
    assert who_gets(s, "33:33:00:00:00:01", 2) == {"g1", "g2", "host"}
    assert who_gets(s, g[0].mac, 3) == {"g1"}
    assert who_gets(s, g[1].mac, 4) == {"g2"}
    assert who_gets(s, host, 5) == {"host"}
    # An address that is added while frames fly is the guest's at once.
    new = "02:00:00:00:77:01"
    assert "g2" not in who_gets(s, new, 6)
    s.evbd.evb(f"port set g2 mac {g[1].mac},{new}")
    assert who_gets(s, new, 7) == {"g2"}
    s.evbd.evb(f"port set g2 mac {g[1].mac}")
    assert "g2" not in who_gets(s, new, 8)
    # A guest that watches gets copies; the host still gets its own.
    s.evbd.evb("port set g2 promisc on")
    assert who_gets(s, new, 9) >= {"g2"}
    assert who_gets(s, host, 10) == {"g2", "host"}


def test_passthru_takes_all(net):
    g = Guest(net, 1, mode="passthru")
    s = XdpStation(net, [g]).start()
    assert who_gets(s, "02:00:00:00:77:01", 1) == {"g1"}
    assert who_gets(s, s.st.mac("up0"), 2) == {"g1"}
    assert who_gets(s, BROADCAST, 3) == {"g1", "host"}
    s.evbd.evb("port del g1")
    s.evbd.lost_ports = True
    s.guests = []
    assert who_gets(s, s.st.mac("up0"), 4) == {"host"}


def test_host_port(net):
    """Beside an XDP uplink, guests and host reach each other, and both the outside."""
    g = [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="vepa")]
    s = XdpStation(net, g).start()
    s.sw.ip("link set st0 type bridge_slave hairpin off")
    assert ping_matrix(s.hosts(), {("g1", "host")}) == set()
    s.evbd.evb("port add host bridge br0 host")
    pairs = {("g1", "host"), ("host", "g1"), ("g1", "out"), ("host", "out"), ("out", "host"),
             ("g2", "out"), ("out", "g1")}
    assert ping_matrix(s.hosts(), pairs) == pairs
    assert ping_matrix(s.hosts6(), pairs) == pairs
    assert iperf(s.st, g[0].ns, HOST4)["end"]["sum_received"]["bytes"] > 1 << 20
    assert "not reached" not in s.evbd.log.read_text()


# ---- it is gone when evbd is ----

def test_sigterm_leaves_no_program(station):
    s = station
    assert program(s.st)
    s.evbd.stop()
    assert not program(s.st)
    assert ping_matrix(s.hosts(), {("out", "host")}) == {("out", "host")}


def test_kill_leaves_no_program_and_the_host_online(station):
    s = station
    assert program(s.st)
    ping = s.out.popen("ping", "-n", "-q", "-i", "0.01", HOST4, stdout=subprocess.PIPE, text=True)
    assert s.all_reach_outside()
    s.evbd.kill()
    wait_for("the program is gone", lambda: not program(s.st))
    assert ping_matrix(s.hosts(), {("out", "host")}) == {("out", "host")}
    s.start(name="again")
    assert program(s.st)
    assert s.all_reach_outside()
    ping.send_signal(signal.SIGINT)
    out, _ = ping.communicate(timeout=20)
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received",
                                        out).groups())
    assert sent > 50 and sent - received <= 2


def test_port_del_leaves_no_program(station):
    s = station
    s.evbd.lost_ports = True
    s.evbd.evb("port del up0")
    assert not program(s.st)
    s.evbd.evb("port add up0 bridge br0 xdp up0 role uplink")
    assert program(s.st)
    assert s.all_reach_outside()


# ---- devices come and go ----

def test_link_down_and_up(station):
    s = station
    s.st.ip("link set up0 down")
    s.evbd.wait_port("up0", "DOWN")
    s.st.ip("link set up0 up")
    s.evbd.wait_port("up0", "UP")
    s.st.ip(f"addr replace {HOST4}/24 dev up0")
    assert s.all_reach_outside()
    s.sw.ip("link set st0 down")
    s.evbd.wait_port("up0", "LOWERLAYERDOWN")
    s.sw.ip("link set st0 up")
    s.evbd.wait_port("up0", "UP")
    wait_for("the switch notices", s.all_reach_outside)


def test_device_removed_and_back(station):
    s = station
    s.st.ip("link del up0")
    s.evbd.wait_port("up0", "DOWN")
    s.net.veth(s.st, "up0", s.sw, "st0")
    s.sw.ip("link set st0 master br0", "link set st0 type bridge_slave hairpin on")
    s.st.ip(f"addr add {HOST4}/24 dev up0")
    s.evbd.wait_port("up0", "UP")
    wait_for("the program", lambda: program(s.st))
    assert s.all_reach_outside()


def test_mtu_change_makes_new_buffers(station):
    s = station
    s.sw.ip("link set st0 mtu 3000", "link set out0 mtu 3000")
    s.out.ip("link set eth0 mtu 3000")
    s.st.ip("link set up0 mtu 3000")
    wait_for("MTU 3000", lambda: s.evbd.port("g1")["mtu"] == 3000)
    for g in s.guests:
        g.ns.ip("link set eth0 mtu 3000")
    s.evbd.wait_port("up0", "UP")
    s.out.run("ping", "-n", "-c", "2", "-W", "2", "-M", "do", "-s", "2972", s.guests[0].ip4)
    assert s.uplink()["uses"] == "xdp"


def test_queues(net):
    s = XdpStation(net, [Guest(net, 1)])
    s.st.run("ethtool", "-L", "up0", "rx", "2", "tx", "2")
    s.sw.run("ethtool", "-L", "st0", "rx", "2", "tx", "2")
    s.start()
    assert s.uplink()["xdp-queues"] == 2
    assert s.all_reach_outside()
    assert iperf(s.out, s.guests[0].ns, "10.0.0.100", "-P", "4", "-R")["end"]["sum_received"][
        "bytes"] > 1 << 20


def test_generic(net):
    """A device whose driver knows nothing of XDP."""
    s = XdpStation(net, [Guest(net, 1)])
    s.st.ip("link add lower link up0 type macvlan mode passthru", "link set lower up",
            f"addr del {HOST4}/24 dev up0", f"addr add {HOST4}/24 dev lower")
    s.config = s.config.replace("uplink up0", "uplink lower")
    s.start()
    p = s.evbd.port("lower")
    assert (p["uses"], p["xdp-mode"], p["xdp-copy"]) == ("xdp", "generic", "copy")
    assert "VLAN tags that lower takes out of frames are lost" in p["uses-why"]
    assert s.all_reach_outside()


# ---- the choice ----

def test_auto_takes_packet_for_veth_and_says_why(net):
    s = XdpStation(net, [Guest(net, 1)], driver="auto").start()
    p = s.uplink()
    assert (p["kind"], p["driver"], p["uses"]) == ("packet", "auto", "packet")
    assert p["uses-why"] == "up0: a veth device has no zero copy"
    shown = s.evbd.evb("port show up0").stdout.splitlines()
    assert "    uses-why: up0: a veth device has no zero copy" in shown
    assert not program(s.st)
    assert "bridge add br0 uplink up0\n" in s.evbd.evb("config show").stdout
    assert s.all_reach_outside()


def test_configuration_is_kept(station):
    s = station
    assert "bridge add br0 uplink up0 driver xdp\n" in s.evbd.evb("config show").stdout
    text = s.evbd.evb("port show up0").stdout
    assert "uses xdp" in text and "xdp-mode native" in text


def test_a_file_changes_the_driver(station):
    """The bridge is made anew by another driver, and nothing else of it changes."""
    s = station
    s.evbd.lost_ports = True
    s.evbd.evb("port add host bridge br0 host")
    config = s.evbd.evb("config show").stdout
    before = "port del host\nport del g1\nport del g2\nbridge del br0\n"
    for driver, uses in (("packet", "packet"), ("xdp", "xdp"), ("auto", "packet")):
        text = before + config.replace("driver xdp", f"driver {driver}")
        s.evbd.evb("config load -", text=text)
        p = s.uplink()
        assert (p["driver"], p["uses"], bool(program(s.st))) == (driver, uses, uses == "xdp")
        assert s.all_reach_outside()


def foreign_program(ns, dev, tmp_path):
    """A program of somebody else: xdp-tools' are not ours to depend on."""
    source = tmp_path / "foreign.c"
    source.write_text('__attribute__((section("xdp"), used)) int firewall(void *ctx)'
                      '{ return 2; }\n')
    run(["clang", "-O2", "-g", "-target", "bpf", "-c", source, "-o", tmp_path / "foreign.o"])
    ns.run("ip", "link", "set", dev, "xdp", "obj", tmp_path / "foreign.o", "sec", "xdp")


def test_foreign_program_is_respected(net, tmp_path):
    s = XdpStation(net, [Guest(net, 1)], driver="auto")
    foreign_program(s.st, "up0", tmp_path)
    theirs = program(s.st)["prog"]["id"]
    s.start()
    assert s.all_reach_outside()
    s.evbd.lost_ports = True
    s.evbd.evb("port del up0")
    with pytest.raises(Refused) as refused:
        s.evbd.call("port.add", ifname="up0", bridge="br0", kind="xdp", dev="up0", role="uplink")
    assert "XDP program firewall" in refused.value.message
    assert "ip link set up0 xdp off" in refused.value.hint
    assert program(s.st)["prog"]["id"] == theirs
    assert "up0" not in s.evbd.ports()


def test_too_large_an_mtu_is_refused(net):
    s = XdpStation(net, [Guest(net, 1)], driver="auto", mtu=9000).start()
    s.evbd.lost_ports = True
    s.evbd.evb("port del up0")
    p = s.evbd.evb("port add up0 bridge br0 xdp up0 role uplink", check=False)
    assert p.returncode == 1
    assert "MTU 9000" in p.stderr and "driver packet" in p.stderr
    assert not program(s.st)
