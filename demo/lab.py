# SPDX-License-Identifier: Apache-2.0
"""Network namespaces, processes in them, and what is seen on a device: the demo's workbench.

Everything made here has the prefix of this process and goes away with close(); no device or
namespace of the machine is touched.
"""
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
PR_SET_PDEATHSIG = 1
SO_RCVBUFFORCE = 33
SOL_PACKET = 263

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    """In a child before exec: it must not outlive a demo that was killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Lab:
    """Owns namespaces and processes of one run."""

    def __init__(self):
        self.prefix = f"demo{os.getpid()}-"
        self.dir = tempfile.mkdtemp(prefix="evb-demo-")
        self._namespaces = []
        self._processes = []

    def ns(self, name):
        """Make a namespace: full name in `ip netns`. Without IPv6, which only makes noise here."""
        full = self.prefix + name
        self._namespaces.append(full)
        subprocess.run(["ip", "netns", "add", full], check=True, timeout=20)
        self.run(full, "ip link set lo up")
        self.run(full, "for d in all default; do "
                       "echo 1 >/proc/sys/net/ipv6/conf/$d/disable_ipv6; done", check=False)
        return full

    def run(self, ns, command, timeout=30, check=True):
        """Run a shell command in a namespace: (exit code, output)."""
        try:
            done = subprocess.run(["ip", "netns", "exec", ns, "sh", "-c", command], timeout=timeout,
                                  text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, preexec_fn=_die_with_parent,
                                  start_new_session=True)
        except subprocess.TimeoutExpired as e:
            return 124, (e.stdout or b"").decode(errors="replace")
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stdout.strip()}")
        return done.returncode, done.stdout

    def spawn(self, ns, *argv, **options):
        """Start a program in a namespace; close() ends it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.STDOUT)
        process = subprocess.Popen(["ip", "netns", "exec", ns, *argv], preexec_fn=_die_with_parent,
                                   start_new_session=True, **options)
        self._processes.append(process)
        return process

    def veth(self, ns_a, dev_a, ns_b, dev_b):
        """A cable between two namespaces."""
        self.run(ns_a, f"ip link add {dev_a} type veth peer name {dev_b} netns {ns_b}")
        self.run(ns_a, f"ip link set {dev_a} up")
        self.run(ns_b, f"ip link set {dev_b} up")

    def stop(self, process):
        """End one process that spawn() started; its exit code."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        if process in self._processes:
            self._processes.remove(process)
        return process.returncode

    def close(self):
        for process in reversed(list(self._processes)):
            self.stop(process)
        for name in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", name], timeout=20, check=False,
                           stderr=subprocess.DEVNULL)
        self._namespaces = []
        shutil.rmtree(self.dir, ignore_errors=True)


@contextlib.contextmanager
def inside(ns):
    """The calling thread is in that namespace meanwhile; sockets opened there stay in it."""
    with open("/proc/thread-self/ns/net", encoding="ascii") as home, \
            open(f"/run/netns/{ns}", encoding="ascii") as there:
        _setns(there.fileno())
        try:
            yield
        finally:
            _setns(home.fileno())


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Capture:
    """Sees the frames of a device, both ways, like tcpdump."""

    def __init__(self, ns, dev):
        with inside(ns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((dev, ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.socket.setblocking(False)

    def frames(self):
        """What was seen since the last call: (is outgoing, destination, source) of each frame."""
        seen = []
        while True:
            try:
                octets, address = self.socket.recvfrom(14)
            except BlockingIOError:
                return seen
            mac = octets[:12].hex(":")
            seen.append((address[2] == PACKET_OUTGOING, mac[:17], mac[18:]))

    def forget(self):
        """Start afresh."""
        self.frames()

    def count(self, is_wanted):
        """(incoming, outgoing) frames since the last look for which is_wanted(dst, src)."""
        n = [0, 0]
        for is_outgoing, dst, src in self.frames():
            n[is_outgoing] += bool(is_wanted(dst, src))
        return tuple(n)

    def close(self):
        self.socket.close()
