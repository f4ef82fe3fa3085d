# SPDX-License-Identifier: Apache-2.0
"""The command line against an evbd that is only a socket: what it sends, prints and returns."""
import json
import os
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parent.parent
EVB = Path(os.environ.get("EVB_BUILD", TREE / "build")).resolve() / "src/cli/evb"
LONG = 20


class Fake:
    """Answers requests from a table: method -> result, or {"error": ...}, or octets as they are."""

    def __init__(self, path):
        self.path, self.answers, self.requests, self.after = str(path), {}, [], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                try:
                    for line in lines:
                        self.answer(client, json.loads(line))
                except OSError:
                    pass

    def answer(self, client, request):
        self.requests.append(request)
        answer = self.answers.get(request["method"], {})
        if isinstance(answer, bytes):
            client.sendall(answer)
            client.shutdown(socket.SHUT_WR)
            return
        key = "error" if isinstance(answer, dict) and "error" in answer else "result"
        value = answer["error"] if key == "error" else answer
        for v in [{"jsonrpc": "2.0", "id": request["id"], key: value}, *self.after]:
            client.sendall(json.dumps(v).encode() + b"\n")
        if self.after:
            client.shutdown(socket.SHUT_WR)

    def last(self):
        return self.requests[-1]["method"], self.requests[-1].get("params", {})

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(LONG)


@pytest.fixture
def fake(tmp_path):
    f = Fake(tmp_path / "evbd.sock")
    yield f
    f.close()


def evb(path, *words, text=None, **kwargs):
    env = {**os.environ, "EVB_SOCKET": str(getattr(path, "path", path))}
    return subprocess.run([EVB, *words], env=env, input=text, capture_output=True, text=True,
                          timeout=LONG, check=False, **kwargs)


def refusal(message="no", **data):
    return {"error": {"code": -32000, "message": message,
                      "data": {"hint": "try this", "errno": "EEXIST", **data}}}


PORTS = [
    {"ifname": "vm1", "bridge": "br0", "kind": "tap", "role": "station", "mode": "vepa",
     "operstate": "UP", "address": ["52:54:00:00:00:01", "52:54:00:00:00:02"], "vlan": 5,
     "mtu": 1500, "promisc": False},
    {"ifname": "up", "bridge": "br0", "kind": "packet", "role": "uplink", "operstate": "DOWN",
     "reason": "device eth1 does not exist", "hint": "plug it in", "dev": "eth1", "native": 1},
    {"ifname": "p1", "bridge": "sw0", "kind": "packet", "reflective-relay": True,
     "operstate": "UP", "trunk": "1,10-20", "native": 1,
     "stats64": {"rx": {"packets": 7, "bytes": 700, "dropped": 3, "multicast": 1},
                 "tx": {"packets": 9, "bytes": 900, "dropped": 0}},
     "drops": {"spoof": 2, "runt": 1}},
]


def test_words_become_a_request(fake):
    r = evb(fake, "p", "a", "vm1", "bridge", "br0", "tap", "mac", "52-54-00-00-00-0A")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert fake.requests == [{"jsonrpc": "2.0", "id": 1, "method": "port.add", "params": {
        "ifname": "vm1", "bridge": "br0", "kind": "tap", "mac": ["52:54:00:00:00:0a"]}}]


def test_options_may_come_last(fake):
    fake.answers["port.show"] = PORTS
    assert json.loads(evb(fake, "port", "show", "-j", "-s").stdout) == PORTS
    assert fake.last() == ("port.show", {"stats": True})
    evb(fake, "bridge", "show", "-s")
    assert fake.last() == ("bridge.show", {})


def test_ports_as_a_table(fake):
    fake.answers["port.show"] = PORTS
    assert evb(fake, "port").stdout.splitlines() == [
        "NAME  BRIDGE  KIND    MODE        STATE  ADDRESS               VLAN",
        "vm1   br0     tap     vepa        UP     52:54:00:00:00:01 +1  5",
        "up    br0     packet  uplink      DOWN   -                     native 1",
        "    device eth1 does not exist",
        "    hint: plug it in",
        "p1    sw0     packet  reflective  UP     -                     trunk 1,10-20 native 1",
    ]


def test_one_port_as_a_block_with_counters(fake):
    fake.answers["port.show"] = [PORTS[2]]
    out = evb(fake, "-s", "port", "show", "p1").stdout
    assert fake.last() == ("port.show", {"ifname": "p1", "stats": True})
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["p1:", "packet", "UP", "bridge", "sw0"]
    assert lines[1] == "reflective-relay on trunk 1,10-20 native 1".split()
    assert lines[2:6] == [["RX:", "bytes", "packets", "dropped", "multicast"], "700 7 3 1".split(),
                          ["TX:", "bytes", "packets", "dropped"], "900 9 0".split()]
    assert lines[6] == "drops: spoof 2, runt 1".split()


def test_other_tables(fake):
    fake.answers |= {
        "bridge.show": [{"ifname": "br0", "type": "edge", "operstate": "UP", "n_ports": 2}],
        "fdb.show": [{"mac": "02:00:00:00:00:01", "ifname": "vm1", "bridge": "br0",
                      "state": "learned", "age": 12}],
        "drops.show": [{"ifname": "vm1", "bridge": "br0", "drops": [
            {"reason": "spoof", "n": 3, "text": "source MAC is not owned by the port"}]}],
        "daemon.show": {"version": "1", "pid": 7, "uptime": 90061},
    }
    assert evb(fake, "bridge").stdout == "NAME  TYPE  STATE  PORTS\nbr0   edge  UP     2\n"
    assert evb(fake, "fdb").stdout == ("MAC                VLAN  PORT  BRIDGE  STATE    AGE\n"
                                       "02:00:00:00:00:01  any   vm1   br0     learned  12\n")
    assert evb(fake, "drops", "vm1").stdout == (
        "PORT  BRIDGE  FRAMES  REASON  MEANING\n"
        "vm1   br0     3       spoof   source MAC is not owned by the port\n")
    assert fake.last() == ("drops.show", {"port": "vm1"})
    assert evb(fake, "daemon").stdout == "version   1\npid       7\nuptime    1d 01:01:01\n"
    assert json.loads(evb(fake, "-j", "daemon").stdout) == [fake.answers["daemon.show"]]
    fake.answers["fdb.show"] = []
    assert evb(fake, "fdb").stdout == ""
    assert evb(fake, "-j", "fdb").stdout == "[]\n"


def test_refusal_is_told(fake):
    fake.answers["port.del"] = refusal("vm1: no such port")
    r = evb(fake, "port", "del", "vm1")
    assert (r.returncode, r.stdout, r.stderr) == (1, "", "evb: vm1: no such port\n  try this\n")
    r = evb(fake, "-j", "port", "del", "vm1")
    assert r.returncode == 1 and r.stdout == ""
    assert json.loads(r.stderr) == {"error": {"message": "vm1: no such port", "hint": "try this",
                                              "errno": "EEXIST"}}


@pytest.mark.parametrize("words, message", [
    (["prot"], 'evb: there is no object "prot"\n  did you mean "port"?\n'),
    (["port", "set", "vm1", "mode", "vpea"], 'did you mean "vepa"?'),
    (["-b", "x", "port"], "not both"),
    (["--nonsense"], "evb -h"),
    ([], "Usage: evb"),
])
def test_usage_needs_no_daemon(tmp_path, words, message):
    r = evb(tmp_path / "none", *words)
    assert r.returncode == 2 and r.stdout == "" and message in r.stderr


def test_usage_as_json(tmp_path):
    r = evb(tmp_path / "none", "-j", "port", "del", b"\xff\xfe")
    assert r.returncode == 2
    assert json.loads(r.stderr)["error"]["message"] == 'port del: "??" is not a value of "ifname"'


def test_no_daemon(tmp_path):
    r = evb(tmp_path / "none", "port")
    assert r.returncode == 3
    assert r.stderr == (f"evb: cannot reach evbd at {tmp_path}/none: No such file or directory\n"
                        "  start it with: evbd -c /etc/evb/evb.conf\n")
    orphan = socket.socket(socket.AF_UNIX)
    orphan.bind(str(tmp_path / "orphan"))
    orphan.close()
    assert "Connection refused" in evb(tmp_path / "orphan", "port").stderr
    assert evb("/" + "x" * 200, "port").returncode == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root")
def test_no_permission(fake, tmp_path):
    os.chmod(fake.path, 0o600)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            os.chmod(folder, folder.stat().st_mode | 0o755)
    copy = tmp_path / "evb"
    copy.write_bytes(EVB.read_bytes())
    copy.chmod(0o755)
    r = subprocess.run([copy, "-S", fake.path, "port"], user=65534, group=65534, extra_groups=[],
                       capture_output=True, text=True, timeout=LONG, check=False)
    assert r.returncode == 3
    assert "Permission denied" in r.stderr and "group evb" in r.stderr


@pytest.mark.parametrize("answer, message", [
    (b"", "evbd closed the connection"),
    (b'{"jsonrpc"', "evbd closed the connection"),
    (b"HTTP/1.1 400 Bad Request\r\n", "the answer is not of evbd"),
    (b"[]\n", "the answer is not of evbd"),
    (b'{"jsonrpc":"2.0","id":1}\n', "neither result nor error"),
])
def test_broken_daemon(fake, answer, message):
    fake.answers["port.show"] = answer
    r = evb(fake, "port")
    assert r.returncode == 3 and message in r.stderr and r.stdout == ""


def test_long_answer(fake):
    fake.answers["port.show"] = [{"ifname": f"port{i}", "kind": "memory"} for i in range(20000)]
    r = evb(fake, "port")
    assert r.returncode == 0 and r.stdout.splitlines()[-1].split() == ["port19999", "memory"]


def test_batch_is_one_request(fake):
    text = "# two\nbridge add br0\n\nport add vm1 bridge br0 tap netns 'a b'\n"
    assert evb(fake, "-b", "-", text=text).returncode == 0
    assert fake.last() == ("config.apply", {"requests": [
        {"method": "bridge.add", "params": {"bridge": "br0"}, "line": 2},
        {"method": "port.add", "line": 4, "params": {"ifname": "vm1", "bridge": "br0",
                                                     "kind": "tap", "netns": "a b"}}]})


def test_batch_names_file_and_line(fake, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("bridge add br0\nbridge addd br1\n")
    r = evb(fake, "-b", str(conf))
    assert r.returncode == 1 and fake.requests == []
    assert r.stderr == f'{conf}:2: bridge: there is no verb "addd"\n  did you mean "bridge add"?\n'
    fake.answers["config.apply"] = refusal("br0: a bridge of that name exists", line=1)
    r = evb(fake, "config", "load", "-", text="bridge add br0\n")
    assert r.returncode == 1
    assert r.stderr == "stdin:1: br0: a bridge of that name exists\n  try this\n"
    r = evb(fake, "-j", "config", "load", "-", text="bridge add br0\n")
    assert json.loads(r.stderr)["error"] == {
        "message": "br0: a bridge of that name exists", "hint": "try this", "errno": "EEXIST",
        "file": "stdin", "line": 1}
    r = evb(fake, "-b", str(tmp_path / "absent"))
    assert r.returncode == 1 and "cannot read: No such file" in r.stderr
    assert evb(fake, "-b", str(tmp_path)).returncode == 1


def test_check_works_with_and_without_daemon(fake, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("bridge add br0\n")
    r = evb(tmp_path / "none", "config", "check", str(conf))
    assert r.returncode == 0 and "1 command, well-formed; no evbd" in r.stdout
    r = evb(fake, "config", "check", str(conf))
    assert (r.returncode, r.stdout) == (0, f"{conf}: 1 command, accepted\n")
    assert fake.last()[0] == "config.check"
    r = evb(fake, "-j", "config", "check", str(conf))
    assert json.loads(r.stdout) == [{"file": str(conf), "commands": 1, "daemon": True}]
    fake.answers["config.check"] = refusal(line=1)
    assert evb(fake, "config", "check", str(conf)).stderr == f"{conf}:1: no\n  try this\n"
    conf.write_text("port show\n")
    r = evb(tmp_path / "none", "config", "check", str(conf))
    assert r.returncode == 1 and r.stderr.startswith(f'{conf}:1: "port show" changes no')


REQUESTS = [{"method": "bridge.add", "params": {"bridge": "br0", "uplink": "eth0"}},
            {"method": "port.add", "params": {"ifname": "vm1", "bridge": "br0", "kind": "tap",
                                              "netns": "a b", "mac": ["02:00:00:00:00:01"]}}]
LINES = ('bridge add br0 uplink eth0\n'
         'port add vm1 bridge br0 tap netns "a b" mac 02:00:00:00:00:01\n')


def test_config_show_and_save(fake, tmp_path):
    fake.answers["config.show"] = REQUESTS
    assert evb(fake, "config").stdout == LINES
    assert json.loads(evb(fake, "-j", "config").stdout) == REQUESTS
    conf, link = tmp_path / "new.conf", tmp_path / "link.conf"
    link.symlink_to(conf)
    for target in (conf, link):
        conf.write_text("old")
        r = evb(fake, "config", "save", str(target))
        assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
        assert conf.read_text() == "# Written by: evb config save\n" + LINES
        assert link.is_symlink() and stat.S_IMODE(conf.stat().st_mode) == 0o644
    assert evb(fake, "-b", str(conf)).returncode == 0
    sent = fake.last()[1]["requests"]
    assert [{k: v for k, v in r.items() if k != "line"} for r in sent] == REQUESTS


def test_save_leaves_the_file_when_it_fails(fake, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("old")
    fake.answers["config.show"] = [{"method": "port.teleport", "params": {}}]
    r = evb(fake, "config", "save", str(conf))
    assert r.returncode == 1 and "port.teleport" in r.stderr
    r = evb(tmp_path / "none", "config", "save", str(conf))
    assert r.returncode == 3 and conf.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if "conf" in p.name] == ["x.conf"]
    r = evb(fake, "config", "save", str(tmp_path / "no" / "x.conf"))
    assert r.returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts an /etc of its own")
def test_save_to_the_default_file(fake):
    fake.answers["config.show"] = REQUESTS
    script = f"""
        mount -t tmpfs none /etc && {EVB} config save && cat /etc/evb/evb.conf
        mkdir /etc/evb/evb.conf.d && touch /etc/evb/evb.conf.d/10-more.conf; {EVB} config save
    """
    r = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True,
                       env={**os.environ, "EVB_SOCKET": fake.path}, timeout=LONG, check=False)
    assert r.stdout == "# Written by: evb config save\n" + LINES
    assert r.returncode == 1
    assert r.stderr.startswith("/etc/evb/evb.conf: /etc/evb/evb.conf.d/10-more.conf would repeat")


def test_request_that_is_too_long(fake):
    text = "".join(f"port add port{i} bridge br0 memory\n" for i in range(20000))
    r = evb(fake, "-b", "-", text=text)
    assert r.returncode == 1 and "longer than 1 MiB" in r.stderr and fake.requests == []


def test_monitor_prints_events(fake):
    def event(**params):
        return {"jsonrpc": "2.0", "method": "event", "params": {"time": "T", **params}}

    fake.after = [event(kind="port", ifname="vm1", bridge="br0", action="add"),
                  event(kind="fdb", mac="02:00:00:00:00:01", ifname="vm1", vlan=5, action="learn"),
                  event(kind="link", ifname="vm1", operstate="DOWN", reason="no VMM here")]
    r = evb(fake, "monitor", "port", "fdb", "link")
    assert fake.last() == ("monitor.subscribe", {"kinds": ["port", "fdb", "link"]})
    assert r.returncode == 3 and "closed the connection" in r.stderr
    assert r.stdout.splitlines() == ["T port add vm1 bridge br0",
                                     "T fdb learn 02:00:00:00:00:01 vm1 vlan 5",
                                     'T link vm1 operstate DOWN reason "no VMM here"']
    r = evb(fake, "-j", "monitor")
    assert fake.last() == ("monitor.subscribe", {})
    assert [json.loads(line) for line in r.stdout.splitlines()] == [
        e["params"] for e in fake.after]


def test_reader_that_goes_away_is_no_error(fake):
    fake.answers["port.show"] = [{"ifname": f"port{i}"} for i in range(20000)]
    r = subprocess.run(["bash", "-o", "pipefail", "-c", f"{EVB} port | head -n 1"], timeout=LONG,
                       env={**os.environ, "EVB_SOCKET": fake.path}, capture_output=True,
                       text=True, check=False)
    assert (r.returncode, r.stdout, r.stderr) == (0, "NAME\n", "")


def test_full_disk_is_an_error(fake):
    fake.answers["port.show"] = PORTS
    with open("/dev/full", "w", encoding="ascii") as full:
        r = subprocess.run([EVB, "port"], stdout=full, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "EVB_SOCKET": fake.path}, timeout=LONG, check=False)
    assert r.returncode == 1 and "No space left" in r.stderr


def test_closed_output_never_reaches_the_daemon(fake):
    fake.answers["port.show"] = PORTS
    subprocess.run(["bash", "-c", f"exec {EVB} port >&-"], timeout=LONG, check=False,
                   env={**os.environ, "EVB_SOCKET": fake.path}, stderr=subprocess.DEVNULL)
    assert [r["method"] for r in fake.requests] == ["port.show"]


def test_help_is_written_from_the_table(tmp_path):
    overview = evb(tmp_path / "none", "help").stdout
    assert overview == evb(tmp_path / "none", "-h").stdout
    for line in ("port add PORT bridge BRIDGE "
                 "tap|packet DEV|xdp DEV|vhost-user PATH|host|memory ...",
                 "monitor [KIND...]", "config check FILE", "--socket PATH"):
        assert line in overview
    port = evb(tmp_path / "none", "help", "port").stdout
    assert port == evb(tmp_path / "none", "port", "help").stdout
    for word in ("evb port set PORT ...", "spoof-guard on|off", "mac MAC[,MAC...]", "68..65521"):
        assert word in port
    assert evb(tmp_path / "none", "-V").stdout.startswith("evb ")


def complete(path, *words):
    return evb(path, "__complete", *words).stdout.split()


def test_completion(fake, tmp_path):
    fake.answers |= {"port.show": [{"ifname": "vm1"}, {"ifname": "vm2"}, {"ifname": "up"}],
                     "bridge.show": [{"ifname": "br0"}]}
    assert complete(fake, "po") == ["port"]
    assert complete(fake, "port", "set", "v") == ["vm1", "vm2"]
    assert complete(fake, "port", "add", "x", "bridge", "") == ["br0"]
    assert "lo" in complete(fake, "bridge", "add", "x", "uplink", "")
    assert complete(fake, "-j", "port", "set", "vm1", "mode", "p") == ["private", "passthru"]
    assert complete(fake, "--so") == ["--socket"]
    assert complete(fake, "-b", "") == ["@file"]
    assert complete(tmp_path / "none", "-S", fake.path, "port", "del", "u") == ["up"]
    assert complete(tmp_path / "none", "port", "del", "") == []


def test_bash_completion(fake, tmp_path):
    (tmp_path / "my.conf").touch()
    fake.answers["port.show"] = [{"ifname": "vm1"}]
    script = f"""
        PATH={EVB.parent}:$PATH; . {TREE}/completion/evb
        try() {{ COMP_LINE=$1 COMP_POINT=${{#1}}; _evb; echo "${{COMPREPLY[*]}}"; }}
        try "evb port set "; try "evb port set vm1 mode v"; try "evb config check {tmp_path}/m"
        try "evb fdb add 02:00:00:00:00:01 po"
    """
    r = subprocess.run(["bash", "-c", script], env={**os.environ, "EVB_SOCKET": fake.path},
                       capture_output=True, text=True, timeout=LONG, check=False)
    assert r.stdout.splitlines() == ["vm1", "vepa", f"{tmp_path}/my.conf", "port"]
