# SPDX-License-Identifier: Apache-2.0
"""The control socket under fire, while traffic flows: nonsense, floods, peers that do not read."""
import contextlib
import json
import os
import random
import select
import socket
import time

import pytest

from conftest import SEED
from evblib import LONG, Rpc, wait_for
from frames import raw_station

M1, M2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
FUZZ_SECONDS = float(os.environ.get("EVB_FUZZ_SECONDS", "8"))


def connect(d, timeout=LONG):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(str(d.socket))
    return s


@pytest.fixture
def lab(net):
    return raw_station(net, f"mac {M1} mode bridge", f"mac {M2} mode bridge")


def still_works(lab):
    """It answers another client, and forwards."""
    other = Rpc(lab.evbd.socket)
    assert len(other.call("port.show")) == 3
    other.close()
    got = lab.send([("g1", M2, M1, {})] * 50)
    assert len(got["g2"]) == 50


def answers(d):
    try:
        rpc = Rpc(d.socket)
        rpc.call("daemon.show")
    except (BlockingIOError, ConnectionError):
        return False
    rpc.close()
    return True


def read_to_end(s):
    got = b""
    try:
        while octets := s.recv(1 << 16):
            got += octets
    except (ConnectionError, TimeoutError):
        pass
    return got


def random_value(rng, depth=0):
    kinds = ["int", "word", "bool", "null", "text", "mac", "float"]
    if depth < 3:
        kinds += ["list", "dict"]
    kind = rng.choice(kinds)
    if kind == "int":
        return rng.choice([0, -1, 1, 4095, 65521, 1 << 31, -(1 << 63), (1 << 63) - 1,
                           rng.randrange(1 << 20)])
    if kind == "word":
        return rng.choice(["g1", "br0", "up0", "nope", "vepa", "bridge", "private", "source",
                           "passthru", "tap", "packet", "memory", "edge", "learning", "all", "",
                           "1-4094", "10,20", "vm", "netns", "station", "uplink", "lo",
                           "vhost-user", "/nowhere/v", "0660"])
    if kind == "text":
        letters = "a\u00e9\u0000/ \"'\\%s\u2028.-"
        return "".join(rng.choice(letters) for _ in range(rng.randrange(300)))
    if kind == "mac":
        return ":".join(f"{rng.randrange(256):02x}" for _ in range(6))
    if kind == "list":
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(70))]
    if kind == "dict":
        return {rng.choice(["mac", "x", "ifname"]): random_value(rng, depth + 1)}
    return {"bool": rng.random() < 0.5, "null": None, "float": rng.random() * 1e9}[kind]


METHODS = ["bridge.add", "bridge.set", "bridge.del", "bridge.show", "port.add", "port.set",
           "port.del", "port.show", "fdb.add", "fdb.del", "fdb.flush", "fdb.show", "drops.show",
           "config.show", "config.check", "config.apply", "monitor.subscribe",
           "vsi.add", "vsi.set", "vsi.del", "vsi.show", "vsitype.add", "vsitype.set",
           "vsitype.del", "vsitype.show", "daemon.show", "x", ""]
KEYS = ["ifname", "bridge", "kind", "dev", "name", "netns", "guest", "owner", "group", "role",
        "mac", "mode", "vlan", "trunk", "native", "svlan", "reserved", "spoof-guard",
        "maclimit", "promisc", "standby", "source", "nodst", "mtu", "offload",
        "reflective-relay", "type", "uplink", "ageing", "port", "requests", "kinds", "stats",
        "line", "x", "path", "client", "queues", "config", "perm", "rate-in",
        "burst-out", "pps-in", "storm-unknown", "pcp", "vdp", "instance", "manager", "version",
        "request", "filter", "gid", "hint", "id", "default-vlan"]
SENSIBLE = {
    "ifname": ["g1", "g2", "f1", "f2"], "bridge": ["br0", "f0", "f1"],
    "kind": ["memory", "tap", "vhost-user"],
    "path": ["/proc/self/cwd/evb-fuzz-1", "/nowhere/v"], "client": [True, False],
    "queues": [1, 16], "perm": ["0600", "666"], "config": [True, False],
    "mode": ["vepa", "bridge", "private", "source"], "vlan": [1, 10, None],
    "trunk": ["10,20", "all"],
    "native": [10, None], "svlan": [100, None], "maclimit": [0, 5],
    "promisc": [True, False], "standby": [True, False],
    "mac": [None, ["02:00:00:00:01:01"], ["02:00:00:00:01:02", "02:00:00:00:01:03"]],
    "mtu": [1500, 68, None], "type": ["edge", "learning"], "ageing": [1, 300], "port": ["f1", "g2"],
    "rate-in": [1000, 10**12, None], "burst-out": [1, 1 << 30], "pps-in": [1, 10**9, None],
    "storm-broadcast": [1, None], "pcp": [0, 7, None],
    "vdp": [True, False], "instance": ["192.0.2.1", "192.0.2.2"], "manager": ["7", None],
    "version": [0, 1], "request": ["associate", "pre-associate"], "filter": ["vid", None],
    "id": [1, 2], "default-vlan": [10, None],
    "offload": [True, False], "source": [["02:00:00:00:01:09"]], "nodst": [True, False],
}


def random_params(rng, sensible):
    keys = rng.sample(KEYS, rng.randrange(6))
    if sensible:
        keys = ["ifname", "bridge", "kind", "path"] + [k for k in rng.sample(sorted(SENSIBLE), 3)]
        params = {k: rng.choice(SENSIBLE[k]) for k in keys if rng.random() < 0.9}
        if params.get("kind") != "vhost-user":
            params.pop("path", None)
        return params
    return {k: random_value(rng) for k in keys}


def random_request(rng):
    method = rng.choice(METHODS)
    sensible = rng.random() < 0.5
    params = random_params(rng, sensible)
    if method.startswith("config.") and rng.random() < 0.8:
        params = {"requests": [{"method": rng.choice(METHODS), "line": i,
                                "params": random_params(rng, sensible)}
                               for i in range(rng.randrange(5))]}
    request = {"jsonrpc": "2.0", "id": rng.choice([1, "a", None, 1.5]), "method": method,
               "params": params}
    if rng.random() < 0.05:
        request[rng.choice(list(request))] = random_value(rng)
    if rng.random() < 0.05:
        del request[rng.choice(list(request))]
    return json.dumps(request).encode()


def test_random_requests(lab):
    """Requests made at random, half of them sensible: each gets one answer, and nothing breaks."""
    rng = random.Random(SEED)
    s = connect(lab.evbd)
    f = s.makefile("rwb")
    end = time.monotonic() + FUZZ_SECONDS
    n = done = 0
    while time.monotonic() < end:
        line = random_request(rng)
        request = json.loads(line)
        f.write(line + b"\n")
        f.flush()
        if isinstance(request, dict) and "id" not in request and "method" in request \
                and isinstance(request["method"], str):
            continue  # a notification has no answer
        answer = {"method": "event"}
        while "method" in answer:
            answer = json.loads(f.readline())
        assert ("result" in answer) != ("error" in answer), (line, answer)
        n += 1
        done += "result" in answer
        if n % 100 == 0:
            assert lab.evbd.process.poll() is None, lab.evbd.tail()
    print(f"{n} requests, {done} carried out")
    assert done > 20 and n > 200
    s.close()
    # What the requests left is a configuration that a new daemon takes.
    shown = lab.evbd.evb("config show").stdout
    requests = lab.evbd.call("config.show")
    lab.evbd.call("config.check", requests=[{**r, "line": i} for i, r in enumerate(requests, 1)])
    print(shown)


def test_random_octets(lab):
    """Anything at all on the socket: errors or an end of that connection, never of the daemon."""
    rng = random.Random(SEED)
    for i in range(60):
        s = connect(lab.evbd, timeout=5)
        try:
            for _ in range(rng.randrange(1, 5)):
                octets = rng.randbytes(rng.choice([1, 10, 1000, 70000]))
                s.sendall(octets + b"\n" * rng.randrange(2))
            s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        for line in read_to_end(s).splitlines():
            assert json.loads(line)["error"]["code"] in (-32700, -32600)
        s.close()
    still_works(lab)


def test_long_lines_and_deep_nesting(lab):
    """A line beyond 1 MiB ends its connection; nesting of any depth is an error, not a crash."""
    for depth in (100, 5000, 400_000):
        s = connect(lab.evbd)
        s.sendall(b"[" * depth + b"\n")
        assert json.loads(s.makefile("rb").readline())["error"]["code"] == -32700
        s.close()
    s = connect(lab.evbd, timeout=10)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += s.send(b"x" * 65536)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        pass
    assert sent < 16 << 20, "a line without end is read for ever"
    s.close()
    line = b'{"jsonrpc":"2.0","id":1,"method":"bridge.show"' + b" " * 1_000_000 + b"}\n"
    s = connect(lab.evbd)
    s.sendall(line)
    assert "result" in json.loads(s.makefile("rb").readline())
    s.close()
    still_works(lab)


def test_requests_in_pieces_and_in_heaps(lab):
    """One octet at a time, and a thousand requests at once: all answered, in order."""
    s = connect(lab.evbd)
    f = s.makefile("rb")
    for octet in b'{"jsonrpc":"2.0","id":1,"method":"daemon.show"}\r\n':
        s.send(bytes([octet]))
    assert "result" in json.loads(f.readline())
    s.sendall(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"bridge.show"}\n' % i
                       for i in range(1000)))
    s.shutdown(socket.SHUT_WR)  # half-closed: the answers still come
    assert [json.loads(line)["id"] for line in f] == list(range(1000))
    s.close()


def test_many_connections(lab):
    """Hundreds of peers at once, half of them in the middle of a line: the first are served, those
    beyond the limit are told so, and all is given back when they have gone."""
    peers = []
    for i in range(400):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(lab.evbd.socket))  # blocks while the backlog is full
        s.settimeout(LONG)
        peers.append(s)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.send(b'{"jsonrpc":"2.0","id":1,' + b'"method":"daemon.show"}\n' * (i % 2))
    answers_got = [json.loads(s.makefile("rb").readline()) for s in peers[1:100:2]]
    assert all("result" in a for a in answers_got)
    refused = peers[-1].makefile("rb").readline()
    assert not refused or "error" in json.loads(refused)
    for s in peers:
        s.close()
    wait_for("room again", lambda: answers(lab.evbd))
    still_works(lab)
    wait_for("descriptors are given back", lambda: n_descriptors(lab.evbd) < 60)


def n_descriptors(d):
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


def test_subscriber_that_does_not_read(lab):
    """It is let go when too much waits for it; a subscriber beside it misses nothing."""
    slow, good = connect(lab.evbd), Rpc(lab.evbd.socket)
    slow.send(b'{"jsonrpc":"2.0","id":1,"method":"monitor.subscribe"}\n')
    good.call("monitor.subscribe", kinds=["mode"])
    n = 0
    closed = False
    while not closed and n < 40_000:
        for mode in ("vepa", "bridge"):
            lab.evbd.call("port.set", ifname="g1", mode=mode)
            assert good.next_event()["to"] == mode
            n += 1
        if n % 1000 == 0:
            closed = is_closed(slow)
    assert closed, f"{n} events wait for a peer that does not read"
    still_works(lab)
    good.close()
    slow.close()


def is_closed(s):
    """The other side has closed: seen without reading what waits."""
    p = select.poll()
    p.register(s, select.POLLHUP)
    return bool(p.poll(0) and p.poll(0)[0][1] & (select.POLLHUP | select.POLLERR))
