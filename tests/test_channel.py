# SPDX-License-Identifier: Apache-2.0
"""Several ports on one wire, each with an S-tag of its own: by hand (svlan), or as CDCP agrees.

        a ── br0 ── up0 ═╗                        ╔═ st0 ── sw0 ── x
                         ╠═ up0 ═ one wire ═ st0 ═╣
        b ── br1 ── u1 ══╝                        ╚═ s1 ─── sw1 ── y
"""
import shutil
import subprocess
import time
import uuid

import pytest

from evblib import Rpc, run, wait_for
from frames import S_TAG, RawPort, tag_of

MAC, FAR = "02:00:00:00:00:01", "02:00:00:00:00:99"
NEAR_IP, FAR_IP = "10.0.0.1", "10.0.0.99"


class Wire:
    """Two daemons, two bridges each. The same addresses are behind both."""

    def __init__(self, net, station, bridge, default="", far_default=""):
        self.net = net
        self.st, self.sw = net.ns("st", "sw")
        self.st.silence()
        self.sw.silence()
        net.veth(self.st, "up0", self.sw, "st0")
        self.guest = {name: net.ns(name) for name in "abxy"}
        self.config = {
            "station": "bridge add br0 uplink up0\n"
            f"{default}bridge add br1\nport add u1 bridge br1 packet up0 role uplink {station}\n"
            + self.tap("a", "br0", MAC) + self.tap("b", "br1", MAC),
            "bridge": "bridge add sw0 type learning\nbridge add sw1 type learning\n"
            f"port add st0 bridge sw0 packet st0 {far_default}\n"
            f"port add s1 bridge sw1 packet st0 {bridge}\n"
            + self.tap("x", "sw0", FAR) + self.tap("y", "sw1", FAR)}
        self.station = net.evbd(self.st, self.config["station"], name="station")
        self.bridge = net.evbd(self.sw, self.config["bridge"], name="bridge")
        self.guest_up(*self.guest)

    def guest_up(self, *names):
        for name in names:
            near, ns = name in "ab", self.guest[name]
            ns.silence()
            ns.ip(f"link set eth0 address {MAC if near else FAR}",
                  f"addr replace {NEAR_IP if near else FAR_IP}/24 dev eth0", "link set eth0 up")

    def tap(self, name, bridge, mac):
        return (f"port add {name} bridge {bridge} tap netns {self.guest[name].name} name eth0 "
                f"mac {mac}\n")

    def ping(self, name):
        return run(["ip", "netns", "exec", self.guest[name].name, "ping", "-n", "-q", "-c", "1",
                    "-W", "1", FAR_IP], check=False).returncode == 0

    def wait_up(self, near, far):
        self.station.wait_port(near, "UP")
        self.bridge.wait_port(far, "UP")

    @staticmethod
    def wait_down(evbd, name):
        return evbd.wait_port(name, "LOWERLAYERDOWN")

    @staticmethod
    def wait_reason(evbd, name, text):
        return wait_for(f"{name}: {text}", lambda: text in evbd.port(name).get("reason", "") and
                        evbd.port(name)["reason"])

    def svids(self):
        """The tag of channel 2, as both ends say."""
        return [next((c.get("svid") for c in e.json("channel show")[0]["channels"]
                      if c["channel"] == 2), None) for e in (self.station, self.bridge)]

    def watch(self, kind):
        rpc = Rpc(self.station.socket)
        rpc.call("monitor.subscribe", kinds=[kind])
        return rpc

    def wait_ping(self, name, works=True):
        wait_for(f"{name} {'reaches' if works else 'does not reach'} its peer",
                 lambda: self.ping(name) == works)

    def tags(self, name):
        """The outermost tags of what the guest sends, as they are on the wire."""
        with RawPort(self.sw, "st0") as wire:
            self.ping(name)
            seen = {tag_of(o) for o in wire.receive_all() if o[6:12] == bytes.fromhex(
                MAC.replace(":", ""))}
        return seen

    def counts(self, evbd, port):
        s = evbd.port(port, stats=True)["stats64"]
        return s["rx"]["packets"], s["tx"]["packets"]


def test_two_bridges_by_hand(net):
    """S-tags by hand: the wire is two wires, and what is in one does not come into the other."""
    w = Wire(net, "svlan 100", "svlan 100")
    for name in "ab":
        w.wait_ping(name)
    assert w.tags("a") == {None}
    assert w.tags("b") == {(S_TAG, 100)}
    before = {p: w.counts(w.bridge, p) for p in ("x", "y", "st0", "s1")}
    assert w.ping("b")
    after = {p: w.counts(w.bridge, p) for p in before}
    assert before["x"] == after["x"] and before["st0"] == after["st0"]
    assert before["y"] != after["y"] and before["s1"] != after["s1"]
    assert w.bridge.port("s1")["mtu"] == w.station.port("b")["mtu"] == 1492
    w.bridge.evb("port set s1 svlan 101")
    w.wait_ping("b", works=False)
    assert w.ping("a")
    w.station.evb("port set u1 svlan 101")
    w.wait_ping("b")
    assert w.tags("b") == {(S_TAG, 101)}
    w.bridge.lost_ports = True
    before = w.bridge.drops("st0").get("vlan", 0)
    w.bridge.evb("port del s1")  # alone on its device, a port counts what is not its own
    assert not w.ping("b")
    assert w.bridge.drops("st0").get("vlan", 0) > before
    assert w.ping("a")


# ---- as CDCP agrees ----

def agreed(net, pool="100-200", station="channel 2", bridge="channel 2"):
    w = Wire(net, station, bridge, "port set up0 cdcp on\n", f"cdcp on svid-pool {pool}")
    w.wait_up("u1", "s1")
    return w


def test_a_channel_is_agreed_upon(net):
    """The station asks, the bridge gives the first tag of its pool, and traffic bears it."""
    w = agreed(net)
    for name in "ab":
        w.wait_ping(name)
    assert w.tags("a") == {None}
    assert w.tags("b") == {(S_TAG, 100)}
    before = w.counts(w.bridge, "x")
    assert w.ping("b") and w.counts(w.bridge, "x") == before
    (wire,) = w.station.json("channel show")
    assert (wire["dev"], wire["role"], wire["peer"]) == ("up0", "station", True)
    assert wire["local"]["channels"] == [{"channel": 2, "svid": 100}]
    assert wire["remote"] == {"role": "bridge", "s_component": True, "capacity": 167,
                              "channels": [{"channel": 1, "svid": 1}, {"channel": 2, "svid": 100}]}
    assert wire["channels"] == [
        {"channel": 1, "port": "up0", "bridge": "br0", "operstate": "UP"},
        {"channel": 2, "svid": 100, "port": "u1", "bridge": "br1", "operstate": "UP"}]
    (wire,) = w.bridge.json("channel show s1", options=["-s"])
    assert (wire["ifname"], wire["svid-pool"]) == ("st0", "100-200")
    assert wire["stats"]["taken"] > 0
    text = w.station.evb("channel show").stdout
    assert "S-VLAN" in text and "100" in text
    assert w.station.port("u1")["channel"] == 2 and w.station.port("b")["mtu"] == 1492


def test_a_channel_is_withdrawn_and_comes_back(net):
    """Whoever takes it away, both ends know, say why, and use it again when it is back."""
    w = agreed(net)
    w.wait_ping("b")
    w.bridge.lost_ports = w.station.lost_ports = True
    w.bridge.evb("port del s1")
    assert "no S-VLAN for channel 2" in w.wait_down(w.station, "u1")["reason"]
    assert not w.ping("b") and w.ping("a")
    w.bridge.evb("port add s1 bridge sw1 packet st0 channel 2")
    w.wait_up("u1", "s1")
    w.wait_ping("b")
    w.station.evb("port del u1")
    assert "does not ask for channel 2" in w.wait_down(w.bridge, "s1")["reason"]
    w.station.evb("port add u1 bridge br1 packet up0 role uplink channel 2")
    w.wait_up("u1", "s1")
    w.wait_ping("b")
    w.station.evb("port set up0 cdcp off")
    assert "no port speaks" in w.wait_down(w.station, "u1")["reason"]
    assert "says nothing of S-channels" in w.wait_down(w.bridge, "s1")["reason"]
    w.wait_ping("a")
    w.station.evb("port set up0 cdcp on")
    w.wait_up("u1", "s1")
    w.bridge.evb("port set st0 svid-pool 300-400")
    wait_for("the new tag", lambda: w.svids() == [300, 300])
    w.wait_ping("b")
    assert w.tags("b") == {(S_TAG, 300)}


def test_channels_keep_their_tags_when_the_bridge_is_killed(net):
    """The next bridge has forgotten all, and says so; the station's ports stay up meanwhile."""
    w = agreed(net)
    w.bridge.lost_ports = True
    w.bridge.evb("port set s1 channel 4")  # 100 is free, and goes to channel 3
    w.wait_down(w.station, "u1")
    w.station.evb("bridge add br2")
    w.station.evb("port add u2 bridge br2 packet up0 role uplink channel 3")
    w.bridge.evb("bridge add sw2 type learning")
    w.bridge.evb("port add s2 bridge sw2 packet st0 channel 3")
    w.wait_up("u2", "s2")
    w.bridge.evb("port set s1 channel 2")
    w.wait_up("u1", "s1")
    w.wait_ping("b")

    def svids(evbd):
        return {c["channel"]: c.get("svid", 0) for c in evbd.json("channel show")[0]["channels"]}
    before = svids(w.station)
    assert before == {1: 0, 2: 101, 3: 100}
    w.bridge.config.write_text(w.bridge.evb("config show").stdout)
    said = w.station.log.read_text().count("S-VLAN")
    w.bridge.kill()
    w.bridge.socket.unlink()
    time.sleep(1)
    assert svids(w.station) == before
    start = time.monotonic()
    w.bridge.start()
    w.guest_up("x", "y")
    w.wait_up("u1", "s1")
    w.wait_up("u2", "s2")
    w.wait_ping("b")
    assert time.monotonic() - start < 20  # not when the station speaks next, in 30 s
    assert svids(w.station) == svids(w.bridge) == before
    assert w.station.log.read_text().count("S-VLAN") == said  # none went and came back


def test_channels_outlive_a_restart_of_the_bridge(net):
    """Also if the link was down, when they agree anew."""
    w = agreed(net)
    w.wait_ping("b")
    saved = w.bridge.evb("config show").stdout
    assert "channel 2" in saved and "cdcp on" in saved and "svid-pool 100-200" in saved
    w.bridge.kill()
    w.bridge.config.write_text(saved)
    w.bridge.start()
    w.guest_up("x", "y")
    w.wait_up("u1", "s1")
    w.wait_ping("b")
    assert w.svids() == [100, 100]
    w.sw.ip("link set st0 down")
    w.wait_down(w.station, "u1")
    w.sw.ip("link set st0 up")
    w.wait_up("u1", "s1")
    w.wait_ping("b")


def test_the_pool_is_exhausted(net):
    w = agreed(net, pool="100")
    w.station.lost_ports = w.bridge.lost_ports = True
    w.station.evb("bridge add br2")
    w.station.evb("port add u2 bridge br2 packet up0 role uplink channel 3")
    w.bridge.evb("port add s2 bridge sw1 packet st0 channel 3")  # two channels, one bridge
    assert "no S-VLAN" in w.wait_reason(w.station, "u2", "no S-VLAN for channel 3")
    assert "left for channel 3" in w.wait_reason(w.bridge, "s2", "S-VLAN is left")
    assert w.bridge.json("channel show", options=["-s"])[0]["stats"]["exhausted"] > 0
    w.bridge.evb("port set st0 svid-pool 100-101")
    w.wait_up("u2", "s2")
    assert w.svids() == [100, 100]
    assert w.station.port("u1")["operstate"] == "UP"


def test_each_channel_has_an_evb_of_its_own(net):
    """Reflective relay in one of two channels: LLDP and EVB are in the tag of their channel."""
    w = Wire(net, "channel 2 evb auto", "channel 2 evb auto reflective-relay on",
             "port set up0 cdcp on evb auto\n", "cdcp on evb auto")
    w.wait_up("u1", "s1")

    def reflections(evbd):
        return {e["ifname"]: (e["peer"], e["reflection"]) for e in evbd.json("evb show")}
    wait_for("both have an EVB peer", lambda: reflections(w.station) == {
        "up0": (True, "off"), "u1": (True, "on")})
    with RawPort(w.sw, "st0") as wire:
        w.station.evb("port set b mode bridge")  # no vepa port: nothing is asked for any more
        wait_for("the bridge hears so", lambda: reflections(w.bridge)["s1"] == (True, "off"))
        lldp = [o for o in wire.receive_all() if b"\x88\xcc" in o[12:22]]
    assert {tag_of(o) for o in lldp if o[5] == 0} >= {(S_TAG, w.svids()[0])}
    assert all(tag_of(o) is None for o in lldp if o[5] == 3)  # CDCP is of the wire


def test_a_channel_gets_another_port(net):
    """In one transaction: the other end notices nothing, and the new port has the tag at once."""
    w = agreed(net)
    w.wait_ping("b")
    w.station.lost_ports = True
    rpc = Rpc(w.bridge.socket)
    rpc.call("monitor.subscribe", kinds=["channel"])
    w.station.call("config.apply", requests=[
        {"method": "port.del", "params": {"ifname": "u1"}},
        {"method": "port.add", "params": {"ifname": "v1", "bridge": "br1", "kind": "packet",
                                          "dev": "up0", "role": "uplink", "channel": 2}}])
    assert w.station.port("v1")["operstate"] == "UP"
    w.wait_ping("b")
    w.bridge.evb("port set st0 svid-pool 300-400")  # the first event there is
    assert rpc.next_event()["action"] == "del"
    assert w.svids() != [100, 100]


@pytest.mark.skipif(not shutil.which("tshark"), reason="no tshark")
def test_each_channel_has_vsis_of_its_own(net):
    """The same address in two channels: two associations, each in its tag."""
    w = Wire(net, "channel 2 evb auto", "channel 2 evb auto vdp on",
             "port set up0 cdcp on evb auto\n", "cdcp on evb auto vdp on")
    pcap = net.dir / "wire.pcap"
    capture = w.sw.popen("tcpdump", "-i", "st0", "-w", pcap, "-U", "-s", "0",
                         stderr=subprocess.DEVNULL)
    wait_for("the capture", pcap.exists)
    w.wait_up("u1", "s1")
    w.bridge.evb("vsitype add 5 vlan 1")
    for name in "ab":
        w.station.evb(f"vsi add {name} type 5 instance {uuid.uuid4()}")
        w.wait_ping(name)

    def there():
        return sorted(v["ifname"] for v in w.bridge.json("vsi show") if v["state"] == "associated")
    assert there() == ["s1", "st0"]
    w.bridge.evb("port set st0 svid-pool 300-400")  # another tag is another link: made anew
    wait_for("the new tag", lambda: w.svids() == [300, 300])
    w.wait_ping("b")
    w.station.evb("vsi del b")
    wait_for("the one in the channel is gone", lambda: there() == ["st0"])
    assert w.ping("a") and not w.ping("b")
    capture.terminate()
    capture.wait()
    shown = subprocess.run(["tshark", "-r", pcap, "-V"], capture_output=True, text=True,
                           check=True).stdout
    assert "malformed" not in shown.lower()
    rows = subprocess.run(["tshark", "-r", pcap, "-Y", "ecp21", "-T", "fields", "-e",
                           "ieee8021ad.id", "-e", "vlan.id"], capture_output=True, text=True,
                          check=True).stdout.splitlines()
    assert {row.strip() for row in rows} == {"", "2", "300"}


def test_two_of_a_kind(net):
    """Bridges alone have no channels, and say why."""
    a, b = net.ns("a", "b")
    net.veth(a, "p0", b, "p0")
    line = ("bridge add sw0 type learning\nport add p0 bridge sw0 packet p0 cdcp on\n"
            "port add c2 bridge sw0 packet p0 channel 2\n")
    ends = [net.evbd(ns, line, name=ns.short) for ns in (a, b)]
    for end in ends:
        wait_for("it is said", lambda e=end: "is a bridge of S-channels, too" in
                 e.port("c2").get("reason", ""))


@pytest.mark.parametrize("command, message, hint", [
    ("port set u1 svlan 5", "u1: svlan does not go with channel", "svlan none"),
    ("port set u1 cdcp on", "u1: cdcp is for the port on the default channel", "channel 2"),
    ("port add u3 bridge br2 packet up0 role uplink channel 2", "channel 2 of up0 is port u1",
     "another channel"),
    ("port add u3 bridge br2 packet up0 role uplink", "the default channel of up0 is port up0",
     "another channel"),
    ("port add u3 bridge br2 packet up0 role uplink svlan 7", "fixed by svlan or given by CDCP",
     "either svlan or channel"),
    ("port add u3 bridge br2 xdp up0 role uplink channel 4", "channel is for packet ports",
     "packet DEV"),
    ("port add u3 bridge br2 memory role uplink channel 4", "channel is for packet ports",
     "packet DEV"),
    ("port add u3 bridge br2 tap channel 4", "channel does not apply to a station", "on a wire"),
    ("port set up0 svid-pool 5-9", "svid-pool does not apply to an uplink", "other end"),
    ("port add u3 bridge br3 packet other svid-pool 5-9,11", "is not one range", "100-200"),
    ("port add u3 bridge br3 packet other svid-pool 1-9", "is not one range", "default channel"),
    ("port add h bridge br1 host", "everything has that of channel 2", "channel none"),
])
def test_refused(net, command, message, hint):
    """Nothing of it is applied."""
    st, other = net.ns("st", "other")
    net.veth(st, "up0", st, "far")
    net.veth(st, "other", other, "eth0")
    evbd = net.evbd(st, "bridge add br0 uplink up0\nport set up0 cdcp on\nbridge add br1\n"
                    "port add u1 bridge br1 packet up0 role uplink channel 2\n"
                    "bridge add br2\nbridge add br3 type learning\n")
    before = evbd.evb("config show").stdout
    done = evbd.evb(command, check=False)
    assert done.returncode != 0
    assert message in done.stderr and hint in done.stderr
    assert evbd.evb("config show").stdout == before


def test_the_watcher_sees_channels_come_and_go(net):
    w = agreed(net)
    rpc = w.watch("channel")
    w.bridge.evb("port set st0 svid-pool 300-400")
    seen = [rpc.next_event() for _ in range(2)]
    assert [(e["ifname"], e["dev"], e["channel"], e["action"], e.get("svid")) for e in seen] == [
        ("u1", "up0", 2, "del", None), ("u1", "up0", 2, "add", 300)]
