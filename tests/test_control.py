# SPDX-License-Identifier: Apache-2.0
"""The daemon as its operator meets it: words, files, refusals, events, start and end."""
import json
import os
import select
import socket
import subprocess

import pytest

from evblib import EVB, EVBD, LONG, Guest, Refused, Rpc, Station, hint_of, run, wait_for
from frames import raw_station

M1, M2, M3 = (f"02:00:00:00:00:0{i}" for i in (1, 2, 3))

RICH = """\
bridge add br0 uplink up0 ageing 77
port add vm1 bridge br0 tap mac 52:54:00:00:00:01,52:54:00:00:00:02 mode vepa maclimit 7
port add vm2 bridge br0 tap mac 52:54:00:00:00:03 mode bridge vlan 100 promisc on mtu 1400
port add vm3 bridge br0 tap mac 52:54:00:00:00:04 mode private trunk 10,20-30 native 10
port add vm4 bridge br0 tap name tap-four mode source source 02:00:00:00:00:aa nodst on
port add vm5 bridge br0 tap owner root group root standby on mac 52:54:00:00:00:05 reserved 0x4008
port add c1 bridge br0 tap netns {netns} name eth7 mac 02:00:00:00:00:03 spoof-guard off offload off
bridge add sw0 type learning ageing 20
port add p1 bridge sw0 packet d1 reflective-relay on trunk all native 5
port add p2 bridge sw0 packet d2 vlan 9 maclimit 12 storm-unknown 100 storm-broadcast 7
bridge add empty
port set vm1 pcp 5 pps-in 50000
port set vm2 rate-in 100mbit
port set vm3 rate-out 1gbit burst-out 1m
fdb add 02:00:00:00:00:77 port p2 vlan 9
port add p3 bridge sw0 memory trunk 10,20 vdp on
vsi add vm1 type 5 instance 11111111-2222-3333-4444-555555555555 manager 7 vlan 0
vsitype add 5 vlan 10,20 default-vlan 20 rate-in 1mbit mode bridge reserved 8
fdb add 02:00:00:00:00:78 port c1
"""


@pytest.fixture
def rich(net):
    st, peer = net.ns("st", "peer")
    for ns in (st, peer, net.ns("c1")):
        ns.silence()
    for dev in ("up0", "d1", "d2"):
        net.veth(st, dev, peer, f"x{dev}")
    return net.evbd(st, RICH.format(netns=net.spaces["c1"].name), name="rich")


def in_any_order(shown):
    return sorted(json.dumps(p, sort_keys=True) for p in shown)


def without_comments(text):
    return "".join(line for line in text.splitlines(keepends=True) if line[0] != "#")


def test_config_show_makes_the_same_again(net, rich):
    """What `config show` prints is a file that makes the same bridges, ports and entries."""
    shown = rich.evb("config show").stdout
    state = {what: rich.json(f"{what} show") for what in ("bridge", "port", "fdb")}
    assert len(state["port"]) == 10 and len(state["bridge"]) == 3 and len(state["fdb"]) == 7
    rich.stop()
    again = net.evbd(rich.ns, shown, name="again")
    assert again.evb("config show").stdout == shown
    for what, before in state.items():
        assert in_any_order(again.json(f"{what} show")) == in_any_order(before), what


def test_config_save_load_check(net, rich):
    """`config save` writes it, `config check` accepts it, `-b FILE` loads it in one go."""
    file = net.dir / "saved.conf"
    shown = rich.evb("config show").stdout
    rich.evb("config", "save", str(file))
    assert without_comments(file.read_text()) == shown
    rich.evb("config", "check", str(file))
    for p in rich.json("port show"):
        if p.get("role") != "uplink":
            rich.evb(f"port del {p['ifname']}")
    for b in rich.json("bridge show"):
        rich.evb(f"bridge del {b['ifname']}")
    rich.evb("vsitype del 5")
    assert rich.evb("config show").stdout.strip() == ""
    assert not net.taps()
    run([EVB, "-S", rich.socket, "-b", file])
    assert rich.evb("config show").stdout == shown


def test_load_is_all_or_nothing(net, rich):
    """A file with one bad line changes nothing, and the line is named."""
    shown = rich.evb("config show").stdout
    file = net.dir / "bad.conf"
    file.write_text("port set vm1 mode private\nport add vm9 bridge br0 tap\n\n# comment\n"
                    "port add vm1 bridge br0 tap\nport set vm2 mode private\n")
    p = run([EVB, "-S", rich.socket, "-b", file], check=False)
    assert p.returncode == 1
    assert f"{file}:5:" in p.stderr and "vm1" in p.stderr and hint_of(p.stderr)
    assert rich.evb("config show").stdout == shown
    assert not any(dev == "vm9" for _, dev in net.taps())


# (words, exit code, part of the message); the line below the message is the hint.
WRONG = [
    ("prt show", 2, "prt"),
    ("port ad x", 2, "bridge"),
    ("port frobnicate", 2, "frobnicate"),
    ("port add", 2, "port"),
    ("port add vm7", 2, "bridge"),
    ("port add vm7 bridge br0 tap mode vep", 2, "vep"),
    ("port add vm7 bridge br0 tap mac 52:54:00:00:00", 2, "52:54:00:00:00"),
    ("port add vm7 bridge br0 tap vlan 4095", 2, "4095"),
    ("port add vm7 bridge br0 tap vlan 0", 2, "0"),
    ("port add vm7 bridge br0 tap trunk 5-3", 2, "5-3"),
    ("port add vm7 bridge br0 tap mtu 67", 2, "67"),
    ("port add vm7 bridge br0 tap promisc maybe", 2, "maybe"),
    ("port add vm7 bridge br0 tap mode vepa mode bridge", 2, "mode"),
    ("port add vm7 bridge br0 tap colour red", 2, "colour"),
    ("port add ../x bridge br0 tap", 2, "../x"),
    ("port add vm7 bridge nope tap", 1, "nope"),
    ("port add vm7 bridge br0", 2, "kind"),
    ("port add vm1 bridge br0 tap", 1, "vm1"),
    ("port add vm7 bridge br0 tap mac 52:54:00:00:00:01", 1, "52:54:00:00:00:01"),
    ("port add vm7 bridge br0 tap mac 53:54:00:00:00:01", 1, "53:54:00:00:00:01"),
    ("port add vm7 bridge br0 tap mode passthru", 1, "passthru"),
    ("port add vm7 bridge br0 tap vlan 5 trunk 7", 1, "vlan"),
    ("port add vm7 bridge br0 tap trunk 7 native 8", 1, "8"),
    ("port add vm7 bridge br0 tap netns no-such-netns", 1, "no-such-netns"),
    ("port add vm7 bridge br0 tap reflective-relay on", 1, "reflective-relay"),
    ("port add vm7 bridge br0 tap nodst on", 1, "nodst"),
    ("port add vm7 bridge br0 tap name a-name-far-too-long", 2, "a-name-far-too-long"),
    ("port add vm7 bridge br0 tap name tap-four", 1, "tap-four"),
    ("port add vm7 bridge br0 tap name up0", 1, "up0"),
    ("port add vm7 bridge br0 tap owner no-such-user", 1, "no-such-user"),
    ("port add vm7 bridge br0 packet nodev0", 1, "nodev0"),
    ("port add vm7 bridge br0 packet lo", 1, "lo"),
    ("port add p9 bridge sw0 packet d1 mode vepa", 1, "mode"),
    ("port set nope mode vepa", 1, "nope"),
    ("port set vm1 kind tap", 2, "kind"),
    ("port set up0 mode vepa", 1, "mode"),
    ("port set p1 mode vepa", 1, "mode"),
    ("port set vm1 mode passthru", 1, "passthru"),
    ("port del nope", 1, "nope"),
    ("bridge add br0", 1, "br0"),
    ("bridge add b2 type edgy", 2, "edgy"),
    ("bridge add b2 type learning uplink up0", 1, "uplink"),
    ("bridge del br0", 1, "br0"),
    ("bridge del nope", 1, "nope"),
    ("fdb add 02:00:00:00:00:99 port nope", 1, "nope"),
    ("fdb add 02:00:00:00:00:99 port p2 vlan 10", 1, "10"),
    ("fdb del 02:00:00:00:00:99 bridge sw0", 1, "02:00:00:00:00:99"),
    ("config check /no/such/file", 1, "/no/such/file"),
    ("monitor nonsense", 2, "nonsense"),
]


def test_wrong_commands(rich):
    """Each is refused with the right exit code, names what is wrong, and says what to do."""
    shown = rich.evb("config show").stdout
    links = rich.ns.links().keys()
    wrong = []
    for words, code, part in WRONG:
        p = rich.evb(words, check=False)
        if p.returncode != code or part not in p.stderr or p.stdout \
                or not hint_of(p.stderr):
            wrong.append(f"{words!r}: exit {p.returncode} instead of {code}, {part!r}\n"
                         f"    {p.stdout}{p.stderr}")
    assert not wrong, "\n".join(wrong)
    assert rich.evb("config show").stdout == shown
    assert rich.ns.links().keys() == links


def test_errors_as_json(rich):
    p = rich.evb("port add vm1 bridge br0 tap", options=["-j"], check=False)
    assert p.returncode == 1
    error = json.loads(p.stderr)["error"]
    assert "vm1" in error["message"] and error["hint"] and error["errno"] == "EEXIST"


def test_no_daemon(net):
    p = run([EVB, "-S", net.dir / "none.sock", "port", "show"], check=False)
    assert p.returncode == 3
    assert "none.sock" in p.stderr and "evbd" in hint_of(p.stderr)


# What a file says, the number of the line at fault, part of the message.
WRONG_FILES = [
    ("bridge add br0\nport add vm1 bridge br1 tap\n", 2, "br1"),
    ("bridge add br0\n\n# x\nport add vm1 bridge br0 tap mode vep\n", 4, "vep"),
    ("bridge add br0\nport show\n", 2, "show"),
    ("bridge add 'br0\n", 1, ""),
    ("bridge add br0\nbridge add br1 type learning ageing x\n", 2, "x"),
    ("bridge add br0\nport add a bridge br0 tap\nport add a bridge br0 tap\n", 3, "a"),
    ("bridge add br0\nport add a bridge br0 tap mac 02:00:00:00:00:01\n"
     "port add b bridge br0 tap mac 02:00:00:00:00:01\n", 3, "02:00:00:00:00:01"),
    ("bridge add br0\n\x00\xff\xfe\n", 2, ""),
]


@pytest.mark.parametrize("text, line, part", WRONG_FILES, ids=range(len(WRONG_FILES)))
def test_wrong_files(net, text, line, part):
    """evbd and `config check` both refuse the file, name the line, and leave nothing behind."""
    st = net.ns("st")
    file = net.dir / "wrong.conf"
    file.write_text(text, encoding="latin-1")
    sock = net.dir / "wrong.sock"
    p = st.run(EVBD, "-S", sock, "-c", file, check=False)
    assert p.returncode == 1, p.stderr
    assert f"{file}:{line}:" in p.stderr and part in p.stderr
    assert not sock.exists() and not net.taps()
    p = run([EVB, "-S", sock, "config", "check", file], check=False)
    # Without a daemon it knows the form of a file, not all of its meaning.
    if p.returncode:
        assert p.returncode in (1, 2) and f"{file}:{line}:" in p.stderr
    d = net.evbd(st, "")
    p = d.evb("config", "check", str(file), check=False)
    assert p.returncode in (1, 2) and f"{file}:{line}:" in p.stderr, p.stderr
    assert d.json("bridge show") == []


def test_missing_file(net):
    st = net.ns("st")
    p = st.run(EVBD, "-S", net.dir / "x.sock", "-c", net.dir / "none.conf", check=False)
    assert p.returncode == 1 and "none.conf" in p.stderr


def test_file_with_devices_to_come(net):
    """At the start a missing uplink or namespace is waited for, and not an error."""
    st, peer = net.ns("st", "peer")
    guest = f"{net.prefix}-late"
    d = net.evbd(st, "bridge add br0 uplink up0\n"
                 f"port add g1 bridge br0 tap netns {guest} name eth0 mac {M1}\n")
    for name, word in (("up0", "up0"), ("g1", guest)):
        p = d.port(name)
        assert p["operstate"] == "DOWN" and word in p["reason"] and p["hint"]
    net.veth(st, "up0", peer, "x0")
    d.wait_port("up0", "UP")
    net.ns("late")
    d.wait_port("g1", "UP")
    assert net.spaces["late"].mac("eth0") == M1


def test_second_daemon_is_refused(net):
    """A socket on which an evbd answers is not taken away from it."""
    st = net.ns("st")
    d = net.evbd(st, "")
    p = st.run(EVBD, "-S", d.socket, "-c", d.config, check=False)
    assert p.returncode == 1
    assert str(d.socket) in p.stderr and hint_of(p.stderr)
    assert d.json("daemon show")


def test_socket_path_that_is_something_else(net):
    st = net.ns("st")
    file = net.dir / "precious"
    file.write_text("data")
    (net.dir / "empty.conf").write_text("")
    p = st.run(EVBD, "-S", file, "-c", net.dir / "empty.conf", check=False)
    assert p.returncode == 1 and "precious" in p.stderr
    assert file.read_text() == "data"


def test_takes_over_after_kill(net):
    """After SIGKILL a new daemon takes the stale socket and the left taps, and all works again."""
    s = Station(net, [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge")])
    s.evbd.evb("port add vm9 bridge br0 tap mac 02:00:00:00:00:99")
    s.evbd.config.write_text(s.evbd.evb("config show").stdout)
    s.evbd.kill()
    assert s.evbd.socket.exists()
    assert (s.st.name, "vm9") in net.taps()  # for a VMM: it outlives the daemon
    s.evbd.start()
    for g in s.guests:
        s.evbd.wait_port(g.name, "UP")
        g.addresses()
    s.guests[0].ns.run("ping", "-n", "-q", "-c", "2", "-W", "5", s.guests[1].ip4)
    s.guests[0].ns.run("ping", "-n", "-q", "-c", "2", "-W", "5", "10.0.0.100")


def test_end_leaves_nothing(net):
    """SIGTERM under traffic: exit 0, no devices, no socket; the uplink is as it was."""
    s = Station(net, [Guest(net, 1, mode="vepa"), Guest(net, 2, mode="bridge")])
    s.evbd.evb("port add vm9 bridge br0 tap mac 02:00:00:00:00:99")
    before = s.st.links()["up0"]
    load = [g.ns.popen("ping", "-n", "-q", "-f", "10.0.0.100", stdout=subprocess.DEVNULL)
            for g in s.guests]
    wait_for("load", lambda: s.evbd.balance()[0] > 500)
    s.evbd.stop()  # asserts
    for p in load:
        p.kill()
    assert not any(ns == s.st.name or ns in [g.ns.name for g in s.guests] for ns, _ in net.taps())
    after = s.st.links()["up0"]
    for key in ("address", "mtu", "operstate", "promiscuity", "allmulti"):
        assert after.get(key) == before.get(key) or key in ("promiscuity", "allmulti")
    assert after.get("promiscuity", 0) == 0


def test_monitor(net):
    """Events of ports, bridges, modes, links and addresses, as they happen, by kind."""
    lab = raw_station(net, f"mac {M1} mode vepa maclimit 4", f"mac {M2} mode vepa")
    d = lab.evbd
    everything, modes = Rpc(d.socket), Rpc(d.socket)
    everything.call("monitor.subscribe")
    modes.call("monitor.subscribe", kinds=["mode"])

    def event(rpc, **want):
        while True:
            e = rpc.next_event()
            assert {"kind", "time"} <= e.keys()
            if all(e.get(k) == v for k, v in want.items()):
                return e
    d.evb("port set g1 mode bridge")
    event(everything, kind="mode", ifname="g1", **{"from": "vepa", "to": "bridge"})
    d.evb("bridge add b2 type learning")
    event(everything, kind="bridge", ifname="b2", action="add")
    d.evb("bridge set b2 ageing 9")
    event(everything, kind="bridge", ifname="b2", action="set")
    d.evb("bridge del b2")
    event(everything, kind="bridge", ifname="b2", action="del")
    d.evb("port add x1 bridge br0 tap")
    event(everything, kind="port", ifname="x1", bridge="br0", action="add")
    d.evb("port set x1 maclimit 3")
    event(everything, kind="port", ifname="x1", action="set")
    d.evb("port del x1")
    event(everything, kind="port", ifname="x1", action="del")
    lab.where("g1", M2, "02:00:00:00:00:55")
    event(everything, kind="fdb", mac="02:00:00:00:00:55", ifname="g1", action="learn")
    net.spaces["wire"].ip("link set wire down")
    event(everything, kind="link", ifname="up0", operstate="LOWERLAYERDOWN")
    net.spaces["wire"].ip("link set wire up")
    event(everything, kind="link", ifname="up0", operstate="UP")
    d.evb("port set g1 mode private")
    assert event(modes)["to"] == "bridge"  # nothing else in between
    assert event(modes)["to"] == "private"
    for rpc in (everything, modes):
        rpc.close()


def test_monitor_on_the_command_line(net):
    """`evb monitor` prints a line an event, as JSON with -j, of the kinds asked for."""
    d = net.evbd(net.ns("st"), "bridge add br0\nport add g1 bridge br0 memory\n")
    for options in ([], ["-j"]):
        m = net.popen([EVB, "-S", d.socket, *options, "monitor", "mode"], stdout=subprocess.PIPE)

        def told():
            for mode in ("bridge", "vepa"):
                d.evb(f"port set g1 mode {mode}")
            return select.select([m.stdout], [], [], 0.05)[0]
        wait_for("an event", told)
        line = m.stdout.readline().decode()
        assert "g1" in line and "bridge" in line
        assert not options or json.loads(line)
        m.terminate()
        m.wait(LONG)
        m.stdout.close()


def test_protocol_errors(net):
    """Each kind of wrong request has its code, and the connection lives on."""
    d = net.evbd(net.ns("st"), "")
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(LONG)
    s.connect(str(d.socket))
    f = s.makefile("rwb")
    for line, code in [
            (b"hello", -32700), (b"{", -32700), (b"[]", -32600), (b"{}", -32600), (b"17", -32700),
            (b'{"jsonrpc":"2.0","id":1}', -32600),
            (b'{"jsonrpc":"2.0","id":1,"method":"no.such"}', -32601),
            (b'{"jsonrpc":"2.0","id":1,"method":"port.add","params":{}}', -32602),
            (b'{"jsonrpc":"2.0","id":1,"method":"port.add","params":{"ifname":7}}', -32602),
            (b'{"jsonrpc":"2.0","id":1,"method":"port.del","params":{"ifname":"x","y":1}}', -32602),
            (b'{"jsonrpc":"2.0","id":1,"method":"port.del","params":{"ifname":"x"}}', -32000)]:
        f.write(line + b"\n")
        f.flush()
        answer = json.loads(f.readline())
        assert answer["error"]["code"] == code, (line, answer)
        assert answer["jsonrpc"] == "2.0" and answer["error"]["message"]
        assert {"hint", "errno"} <= answer["error"]["data"].keys()
    f.write(b'{"jsonrpc":"2.0","id":"x","method":"bridge.show"}\n')
    f.flush()
    assert json.loads(f.readline()) == {"jsonrpc": "2.0", "id": "x", "result": []}
    f.close()
    s.close()


def test_who_may_connect(net):
    """Another user gets an error and no answer."""
    d = net.evbd(net.ns("st"), "")
    os.chmod(net.dir, 0o755)
    os.chmod(d.socket, 0o777)
    code = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(10);"
            f"s.connect({str(d.socket)!r});"
            "d=b''\nwhile (g := s.recv(4096)): d+=g\nprint(d.decode())")
    p = run(["/usr/bin/python3", "-c", code], user=65534, group=65534, extra_groups=[])
    assert "error" in p.stdout and "result" not in p.stdout


def test_stats_and_tables_for_people(rich):
    """Every `show` prints something for people and the same objects as an array with -j."""
    for what, names in (("bridge", ["br0", "sw0", "empty"]), ("port", ["vm1", "up0", "p2"]),
                        ("fdb", ["02:00:00:00:00:77"]), ("daemon", [str(rich.process.pid)])):
        text = rich.evb(f"{what} show").stdout
        array = rich.json(f"{what} show")
        assert isinstance(array, list) and array
        for name in names:
            assert name in text and name in json.dumps(array)
    (p,) = rich.json("port show up0", options=["-s"])
    assert p["stats64"]["rx"].keys() >= {"packets", "bytes", "dropped", "multicast"}
    assert "stats64" not in rich.json("port show up0")[0]
    rich.evb("port show", options=["-s"])
    rich.evb("drops")


def test_passthru_is_alone(net):
    st, peer = net.ns("st", "peer")
    net.veth(st, "up0", peer, "x0")
    d = net.evbd(st, "bridge add br0 uplink up0\nport add a bridge br0 tap mode passthru\n")
    for request in ({"ifname": "b", "bridge": "br0", "kind": "tap"},
                    {"ifname": "b", "bridge": "br0", "kind": "tap", "mode": "passthru"}):
        with pytest.raises(Refused, match="passthru"):
            d.call("port.add", **request)
    d.evb("port set a mode vepa")
    d.evb("port add b bridge br0 tap")
    with pytest.raises(Refused, match="passthru"):
        d.call("port.set", ifname="a", mode="passthru")


def test_version_and_help():
    for program in (EVB, EVBD):
        assert run([program, "-V"]).stdout
    assert "port" in run([EVB, "help"]).stdout
    for word in ("mode", "spoof-guard", "reflective-relay"):
        assert word in run([EVB, "help", "port"]).stdout
