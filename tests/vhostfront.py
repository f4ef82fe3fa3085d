# SPDX-License-Identifier: Apache-2.0
"""vhost_front from Python: a VMM and its guest, by hand (tests/front/vhost_front.c)."""
import json
import subprocess

from evblib import BUILD

VHOST_FRONT = BUILD / "tests/front/vhost_front"
PROTOCOL_USUAL = 0x1b01f  # all that evbd offers


class FrontError(Exception):
    pass


class Front:
    """One front-end. Ends with the test."""

    def __init__(self, net):
        self.process = net.popen([VHOST_FRONT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 text=True)

    def __call__(self, *words):
        """Carry out a command; its answer. FrontError if it failed."""
        line = " ".join(str(w) for w in words)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"ok": false, "error": "ended"}')
        if not answer["ok"]:
            raise FrontError(f"{line}: {answer['error']}")
        return answer

    def setup(self, path=None, features="all", **keys):
        """Connect to `path` and be a guest whose driver has set up its queues."""
        if path:
            self("connect", path)
        self("features", features)
        self("protocol", hex(PROTOCOL_USUAL))
        return self("setup", *[f"{k}={v}" for k, v in keys.items()])

    def send(self, octets, **keys):
        self("send", octets.hex(), *[f"{k}={v}" for k, v in keys.items()])

    def receive(self, n=1, timeout_ms=5000, pair=0):
        """The next `n` frames."""
        got = []
        while len(got) < n:
            new = self(f"recv pair={pair} max={n - len(got)} timeout_ms={timeout_ms}")["frames"]
            if not new:
                raise FrontError(f"{len(got)} frames instead of {n}")
            got += [bytes.fromhex(f["hex"]) for f in new]
        return got

    def die(self):
        """As a VMM that is killed."""
        self.process.kill()
        self.process.wait()
