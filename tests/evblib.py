# SPDX-License-Identifier: Apache-2.0
"""What the system tests stand on: network namespaces, devices, daemons and the command line.

Nothing here knows a forwarding rule. Everything a test makes is made through a Net, which takes
all of it away again, and which checks that the daemons left nothing behind. Frames are frames.py.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("EVB_BUILD", ROOT / "build")).resolve()
EVBD = BUILD / "src/daemon/evbd"
EVB = BUILD / "src/cli/evb"

NETNS_DIR = pathlib.Path("/run/netns")
PREFIX = "evbt"
CLONE_NEWNET = 0x40000000
LONG = 20.0  # s: patience for what must happen; a test that passes never waits for it

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The daemon answered a request with an error."""

    def __init__(self, error):
        super().__init__(error.get("message"))
        self.error = error
        self.message = error.get("message", "")
        self.hint = error.get("data", {}).get("hint")
        self.errno = error.get("data", {}).get("errno")


@contextlib.contextmanager
def in_netns(path):
    """The calling thread is in that network namespace; sockets opened here stay there."""
    with open("/proc/thread-self/ns/net") as before, open(path) as inside:
        if _libc.setns(inside.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
        try:
            yield
        finally:
            if _libc.setns(before.fileno(), CLONE_NEWNET):
                os._exit(70)  # the process would go on in the wrong namespace


def run(args, check=True, timeout=LONG, **kw):
    """subprocess.run with text, captured output, and output shown when it fails."""
    args = [str(a) for a in args]
    p = subprocess.run(args, text=True, capture_output=True, timeout=timeout, **kw)
    if check and p.returncode:
        raise AssertionError(f"{' '.join(args)}: exit {p.returncode}\n{p.stdout}{p.stderr}")
    return p


def wait_for(what, condition, timeout=LONG, every=0.02):
    """Poll until condition() is true, and return what it returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(every)


class Ns:
    """A network namespace."""

    def __init__(self, net, short):
        self.net, self.short = net, short
        self.name = f"{net.prefix}-{short}"
        self.path = NETNS_DIR / self.name
        self.create()

    def create(self):
        run(["ip", "netns", "add", self.name])
        # Nobody speaks unless the test wants it: no router solicitations, no duplicate detection.
        self.sysctl("net/ipv6/conf/all/accept_dad", 0)
        self.sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.sysctl("net/ipv6/conf/default/router_solicitations", 0)
        self.ip("link set lo up")

    def delete(self):
        run(["ip", "netns", "del", self.name], check=False)

    def sysctl(self, path, value):
        with in_netns(self.path):
            (pathlib.Path("/proc/sys") / path).write_text(str(value))

    def silence(self):
        """No IPv6 at all, so that every frame on the wire is the test's."""
        self.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        self.sysctl("net/ipv6/conf/default/disable_ipv6", 1)

    def ip(self, *lines):
        """Commands of ip(8), in one go."""
        return run(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines) + "\n").stdout

    def run(self, *args, **kw):
        return run(["ip", "netns", "exec", self.name, *args], **kw)

    def popen(self, *args, **kw):
        return self.net.popen(["ip", "netns", "exec", self.name, *args], **kw)

    def links(self):
        """Devices of the namespace by name, as ip -j -d link prints them."""
        out = run(["ip", "-n", self.name, "-j", "-d", "link"]).stdout
        return {link["ifname"]: link for link in json.loads(out or "[]")}

    def mac(self, dev):
        return self.links()[dev]["address"]


class Rpc:
    """A connection to the control socket."""

    def __init__(self, path, timeout=LONG):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(timeout)
        self.s.connect(str(path))
        self.rest = b""
        self.last_id = 0
        self.events = []

    def close(self):
        self.s.close()

    def read_object(self):
        while b"\n" not in self.rest:
            got = self.s.recv(1 << 16)
            if not got:
                raise ConnectionError("evbd closed the connection")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def call(self, method, **params):
        self.last_id += 1
        request = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}
        self.s.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self.read_object()
            if "id" not in answer:
                self.events.append(answer["params"])
                continue
            assert answer["id"] == self.last_id, answer
            if "error" in answer:
                raise Refused(answer["error"])
            return answer["result"]

    def next_event(self):
        if not self.events:
            self.events.append(self.read_object()["params"])
        return self.events.pop(0)


class Evbd:
    """A daemon in a namespace; made by Net.evbd()."""

    def __init__(self, net, ns, name, config="", args=()):
        self.net, self.ns, self.name = net, ns, name
        self.socket = net.dir / f"{name}.sock"
        self.config = net.dir / f"{name}.conf"
        self.log = net.dir / f"{name}.log"
        self.config.write_text(config)
        self.taps_before = net.taps()
        self.process = None
        self.rpc = None
        self.args = list(args)
        if "EVB_WORKERS" in os.environ:
            self.args += ["-w", os.environ["EVB_WORKERS"]]
        self.lost_ports = False  # ports were deleted, and what they counted went with them

    def start(self):
        with open(self.log, "ab") as log:
            self.process = self.ns.popen(EVBD, "-S", self.socket, "-c", self.config, *self.args,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"{self.name} answers", self.try_connect)
        return self

    def try_connect(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended at its start:\n{self.tail()}")
        try:
            rpc = Rpc(self.socket)
            rpc.call("daemon.show")  # it listens before it has read its files
        except (FileNotFoundError, ConnectionError):
            return False
        self.rpc = rpc
        return True

    def tail(self):
        return f"--- {self.log.name}\n" + self.log.read_text(errors="replace")[-4000:]

    def evb(self, *words, check=True, options=(), text=None):
        """The command line: run `evb words`, return the finished process."""
        words = words[0].split() if len(words) == 1 and isinstance(words[0], str) else words
        return run([EVB, "-S", self.socket, *options, *words], check=check, input=text)

    def json(self, words, options=()):
        return json.loads(self.evb(words, options=["-j", *options]).stdout)

    def call(self, method, **params):
        return self.rpc.call(method, **params)

    def port(self, name, stats=False):
        (p,) = self.call("port.show", ifname=name, stats=stats)
        return p

    def drops(self, name):
        return self.port(name, stats=True).get("drops", {})

    def ports(self):
        return {p["ifname"]: p for p in self.call("port.show", stats=True)}

    def wait_port(self, name, *operstates):
        """Wait until the port is in one of these states, and return it."""
        def there():
            p = self.port(name)
            return p if p["operstate"] in operstates else None
        return wait_for(f"{name} {operstates}, was {self.port(name)}", there)

    def balance(self):
        """(received + copies, sent + dropped): equal when nothing is under way."""
        came = went = 0
        for p in self.ports().values():
            came += p["stats64"]["rx"]["packets"] + p.get("replicated", 0) + p.get("originated", 0)
            went += p["stats64"]["tx"]["packets"] + p.get("punted", 0)
            went += sum(p.get("drops", {}).values())
        return came, went

    def assert_conserved(self):
        """Every frame that came in was delivered or counted under one reason, once at rest."""
        last = None

        def at_rest():
            nonlocal last
            now = self.balance()
            still = now == last and now[0] == now[1]
            last = now
            return still
        try:
            wait_for("rest", at_rest, timeout=5, every=0.05)
        except AssertionError:
            shown = json.dumps(self.ports(), indent=1)
            raise AssertionError(f"{self.name}: in and out differ at rest: {last}\n"
                                 f"{shown}") from None

    def kill(self):
        """End it the hard way: it cannot clean up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(LONG)
        self.process = None
        self.rpc.close()
        self.rpc = None

    def stop(self):
        """SIGTERM: exit 0, and nothing that it made is left."""
        if self.rpc:
            self.rpc.close()
            self.rpc = None
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        code = process.wait(LONG)
        assert code == 0, f"{self.name}: exit {code} on SIGTERM\n{self.tail()}"
        assert not self.socket.exists(), f"{self.name} left its socket"
        left = self.net.taps() - self.taps_before - self.net.taps_of_others(self)
        assert not left, f"{self.name} left devices: {left}"
        assert "Sanitizer" not in self.log.read_text(errors="replace"), self.tail()


class Net:
    """All that one test makes."""

    count = 0

    def __init__(self):
        Net.count += 1
        self.prefix = f"{PREFIX}{os.getpid()}-{Net.count}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=self.prefix))
        self.spaces = {}
        self.daemons = []
        self.processes = []

    def ns(self, *shorts):
        made = []
        for short in shorts:
            self.spaces[short] = Ns(self, short)
            made.append(self.spaces[short])
        return made[0] if len(made) == 1 else made

    def veth(self, ns_a, dev_a, ns_b, dev_b, mtu=1500):
        ns_a.ip(f"link add {dev_a} mtu {mtu} type veth "
                f"peer name {dev_b} mtu {mtu} netns {ns_b.name}",
                f"link set {dev_a} up")
        ns_b.ip(f"link set {dev_b} up")

    def slow_veth(self, ns_a, dev_a, ns_b, dev_b, delay_us):
        """Likewise, but each frame takes that long: through a namespace of its own."""
        mid = self.ns(f"w{len(self.spaces)}")
        mid.silence()
        self.veth(ns_a, dev_a, mid, "w0")
        self.veth(mid, "w1", ns_b, dev_b)
        line = mid.popen(BUILD / "bench/delay_line", "w0", "w1", delay_us, stdout=subprocess.PIPE,
                         text=True)
        assert line.stdout.readline() == "ready\n"

    def popen(self, args, **kw):
        p = subprocess.Popen([str(a) for a in args], **kw)
        self.processes.append(p)
        return p

    def evbd(self, ns, config="", name=None, args=()):
        d = Evbd(self, ns, name or f"evbd{len(self.daemons)}", config, args)
        self.daemons.append(d)
        return d.start()

    def taps(self):
        """(namespace, device) of every tap."""
        return {(s.name, name) for s in self.spaces.values() if s.path.exists()
                for name, link in s.links().items()
                if link.get("linkinfo", {}).get("info_kind") == "tun"}

    def taps_of_others(self, me):
        """Taps of the daemons that still run."""
        mine = set()
        for d in self.daemons:
            if d is me or d.rpc is None:
                continue
            for p in d.call("port.show"):
                if p["kind"] == "tap":
                    mine.add((p.get("netns", d.ns.name), p.get("dev", p["ifname"])))
                elif p["kind"] == "host":
                    mine |= {(d.ns.name, dev) for dev in d.ns.links() if dev.startswith("evb-h")}
        return mine

    def close(self, failed):
        """Take everything away. Checks that daemons end as they should, unless the test failed."""
        error = None
        for d in self.daemons:
            try:
                if d.process and not failed and not d.lost_ports:
                    d.assert_conserved()
                d.stop()
            except (AssertionError, OSError, subprocess.TimeoutExpired, Refused) as e:
                error = error or e
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.wait(LONG)
        for s in self.spaces.values():
            s.delete()
        if failed or error:
            for d in self.daemons:
                print(d.tail())
        shutil.rmtree(self.dir, ignore_errors=True)
        if error and not failed:
            raise error


def hint_of(text):
    """The hint below a message on stderr: an indented line."""
    m = re.search(r"\n  (\S.*)", text)
    return m.group(1) if m else ""


def remove_leftovers():
    """Namespaces of test runs that were killed."""
    for path in NETNS_DIR.glob(f"{PREFIX}*-*"):
        pid = path.name[len(PREFIX):].split("-")[0]
        if pid.isdigit() and not pathlib.Path("/proc", pid).exists():
            run(["ip", "netns", "del", path.name], check=False)


class Guest:
    """A container behind a port: a namespace with eth0 and addresses."""

    def __init__(self, net, number, **fields):
        self.number = number
        self.name = fields.pop("name", f"g{number}")
        self.ns = net.ns(self.name)
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.ip4 = f"10.0.0.{number}"
        self.ip6 = f"fd00::{number:x}"
        self.fields = fields

    def line(self, bridge="br0"):
        words = [f"port add {self.name} bridge {bridge} tap netns {self.ns.name} name eth0"]
        fields = {"mac": self.mac, **self.fields}
        words += [f"{k.replace('_', '-')} {v}" for k, v in fields.items() if v is not None]
        return " ".join(words)

    def addresses(self):
        """To be called whenever its eth0 was made anew."""
        self.ns.ip(f"addr replace {self.ip4}/24 dev eth0",
                   f"addr replace {self.ip6}/64 dev eth0 nodad", "link set eth0 up")


class Station:
    """A station with guests, an adjacent bridge, and a host outside.

        guests ── evbd in st ── up0 ═══ st0 ── bridge in sw ── out0 ═══ eth0 in out
    """

    def __init__(self, net, guests, switch="evbd", mtu=1500, start=True, driver=None):
        self.net = net
        self.st, self.sw, self.out = net.ns("st", "sw", "out")
        net.veth(self.st, "up0", self.sw, "st0", mtu)
        net.veth(self.sw, "out0", self.out, "eth0", mtu)
        self.out.ip("addr add 10.0.0.100/24 dev eth0", "addr add fd00::100/64 dev eth0 nodad")
        self.guests = guests
        self.adjacent = None
        if switch == "evbd":
            self.adjacent = net.evbd(self.sw, "bridge add sw0 type learning\n"
                                     "port add p-st bridge sw0 packet st0 reflective-relay on\n"
                                     "port add p-out bridge sw0 packet out0\n", name="adjacent")
        elif switch == "linux":
            self.sw.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                       "link set st0 master br0", "link set out0 master br0",
                       "link set st0 type bridge_slave hairpin on", "link set br0 up")
        self.config = "bridge add br0 uplink up0" + (f" driver {driver}" if driver else "") + "\n"
        self.config += "".join(g.line() + "\n" for g in guests)
        self.evbd = None
        if start:
            self.start(self.config)

    def start(self, config):
        self.evbd = self.net.evbd(self.st, config, name="station")
        for g in self.guests:
            g.addresses()

    def hosts(self):
        """Name to (namespace, IPv4 address), guests and the host outside."""
        h = {g.name: (g.ns, g.ip4) for g in self.guests}
        h["out"] = (self.out, "10.0.0.100")
        return h


def ping_matrix(hosts, pairs):
    """Which of the pairs (from, to) can ping; all at the same time."""
    running = {}
    for a, b in pairs:
        ns, address = hosts[a][0], hosts[b][1]
        running[a, b] = ns.popen("ping", "-n", "-q", "-c", "3", "-i", "0.25", "-W", "1", address,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {pair for pair, p in running.items() if p.wait(LONG) == 0}


def iperf(server_ns, client_ns, address, *args, seconds=1, before_end=None):
    """iperf3 from client to server; the JSON of the client. `before_end` runs meanwhile."""
    server = server_ns.popen("iperf3", "-s", "-1", "-J", stdout=subprocess.DEVNULL)
    wait_for("iperf3 listens", lambda: ":5201 " in server_ns.run("ss", "-Hltn").stdout)
    client = client_ns.popen("iperf3", "-J", "-c", address, "-t", str(seconds), "-b", "2G",
                             "--connect-timeout", "5000", *args, stdout=subprocess.PIPE, text=True)
    if before_end:
        before_end(client)
    out, _ = client.communicate(timeout=seconds + LONG)
    result = json.loads(out)
    assert client.returncode == 0, result.get("error")
    server.wait(LONG)
    return result
