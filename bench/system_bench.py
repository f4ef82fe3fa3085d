#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a user of evbd gets, side by side with what there is otherwise, in one run.

    throughput   Gbit/s by iperf3 between two tap guests, and CPU time of the process in the middle:
                 evbd; Linux bridge with the same guest taps read and written by a user-space
                 process (as a VMM does); kernel macvlan in bridge mode
    small        small UDP datagrams a second, the same way
    start        from exec to a socket that answers
    port add     one `port.add`: a tap for a VM, and one in a namespace, where most of the time is
                 the kernel's, which waits for RCU when a device moves
    memory       resident memory per port
    idle         CPU time of evbd with 200 ports and nothing to do

Runs interleave the candidates; medians of RUNS. Everything happens in network namespaces made here.

usage: system_bench.py [--build DIR] [--runs N] [--seconds S]     (root)
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TAG = f"evbb{os.getpid()}"
MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02"]


def sh(*cmd, check=True, timeout=30):
    return subprocess.run(cmd, check=check, timeout=timeout, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def ip(ns, *cmd):
    return sh("ip", "-n", ns, *cmd)


class Lab:
    """Namespaces and processes that go away together."""

    def __init__(self):
        self.spaces, self.processes = [], []
        self.folder = tempfile.mkdtemp(prefix="evb-bench-")

    def space(self, name):
        ns = f"{TAG}{name}"
        sh("ip", "netns", "add", ns)
        sh("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        ip(ns, "link", "set", "lo", "up")
        self.spaces.append(ns)
        return ns

    def start(self, ns, *cmd, **kw):
        p = subprocess.Popen(["ip", "netns", "exec", ns, *cmd], **kw)
        self.processes.append(p)
        return p

    def stop(self, p):
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if p in self.processes:
            self.processes.remove(p)

    def close(self):
        for p in list(self.processes):
            self.stop(p)
        for ns in self.spaces:
            sh("ip", "netns", "del", ns, check=False)
        self.spaces = []
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """The control socket."""

    def __init__(self, path, timeout=10):
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.s = socket.socket(socket.AF_UNIX)
                self.s.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.0005)
        self.f = self.s.makefile("rw")
        self.id = 0

    def call(self, method, **params):
        self.id += 1
        self.f.write(json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method,
                                 "params": params}) + "\n")
        self.f.flush()
        answer = json.loads(self.f.readline())
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']}")
        return answer["result"]


def evbd(lab, args, ns):
    path = os.path.join(lab.folder, f"{len(os.listdir(lab.folder))}.sock")
    conf = path + ".conf"
    open(conf, "w").close()
    start = time.monotonic()
    p = lab.start(ns, f"{args.build}/src/daemon/evbd", "-S", path, "-c", conf,
                  stderr=subprocess.DEVNULL)
    c = Client(path)
    c.call("daemon.show")
    return p, c, time.monotonic() - start


def pid_of_evbd(p, c):
    return c.call("daemon.show")["pid"]


# ---- the candidates: two guests g0 and g1 with an interface eth0 each ----

def set_up_guests(guests, addresses=True):
    for i, ns in enumerate(guests):
        if addresses:
            ip(ns, "addr", "add", f"10.0.0.{i + 1}/24", "dev", "eth0")
        ip(ns, "link", "set", "eth0", "up")


def candidate_evbd(lab, args, guests, host):
    p, c, _ = evbd(lab, args, host)
    c.call("bridge.add", bridge="br0")
    for i, ns in enumerate(guests):
        c.call("port.add", ifname=f"g{i}", bridge="br0", kind="tap", netns=ns, name="eth0",
               mac=[MACS[i]], mode="bridge")
    return p


def candidate_bridge(lab, args, guests, host):
    pairs = [w for i, ns in enumerate(guests) for w in (f"{ns}:eth0", f"h{i}")]
    p = lab.start(host, f"{args.build}/bench/tap_pump", *pairs, stdout=subprocess.PIPE, text=True)
    if p.stdout.readline().strip() != "ready":
        sys.exit("tap_pump did not start")
    ip(host, "link", "add", "br0", "type", "bridge")
    ip(host, "link", "set", "br0", "up")
    for i in range(len(guests)):
        ip(host, "link", "set", f"h{i}", "master", "br0", "up")
    return p


def candidate_macvlan(lab, args, guests, host):
    ip(host, "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    ip(host, "link", "set", "up0", "up")
    ip(host, "link", "set", "up1", "up")
    for i, ns in enumerate(guests):
        ip(host, "link", "add", f"mv{i}", "link", "up0", "type", "macvlan", "mode", "bridge")
        ip(host, "link", "set", f"mv{i}", "netns", ns, "name", "eth0")
    return None


CANDIDATES = {"evbd": candidate_evbd, "bridge": candidate_bridge, "macvlan": candidate_macvlan}


@contextlib.contextmanager
def topology(args, make):
    lab = Lab()
    try:
        guests = [lab.space(f"g{i}") for i in range(2)]
        middle = make(lab, args, guests, lab.space("h"))
        set_up_guests(guests)
        for _ in range(50):
            if "1 received" in sh("ip", "netns", "exec", guests[0], "ping", "-c1", "-W1",
                                  "10.0.0.2", check=False):
                break
        else:
            sys.exit("guests cannot reach each other")
        yield lab, guests, middle
    finally:
        lab.close()


def iperf(lab, guests, seconds, *extra):
    server = lab.start(guests[1], "iperf3", "-s", "-1", stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    for _ in range(100):
        if ":5201" in sh("ip", "netns", "exec", guests[1], "ss", "-Hltn"):
            break
        time.sleep(0.02)
    out = sh("ip", "netns", "exec", guests[0], "iperf3", "-c", "10.0.0.2", "-t", str(seconds), "-J",
             *extra, timeout=seconds + 20)
    lab.stop(server)
    return json.loads(out)["end"]


def throughput(lab, guests, seconds):
    return iperf(lab, guests, seconds)["sum_received"]["bits_per_second"] / 1e9


def small(lab, guests, seconds):
    s = iperf(lab, guests, seconds, "-u", "-b", "0", "-l", "18")["sum"]
    return (s["packets"] - s["lost_packets"]) / s["seconds"] / 1e3


def compare(args, title, unit, measure):
    results, cpu = {name: [] for name in CANDIDATES}, {name: [] for name in CANDIDATES}
    for _ in range(args.runs):
        for name, make in CANDIDATES.items():
            with topology(args, make) as (lab, guests, middle):
                before = cpu_seconds(middle.pid) if middle else 0
                results[name].append(measure(lab, guests, args.seconds))
                used = (cpu_seconds(middle.pid) if middle else 0) - before
                cpu[name].append(100 * used / args.seconds)
    base = statistics.median(results["evbd"])
    for name, values in results.items():
        m = statistics.median(values)
        print(f"{title:<11} {name:<8} {m:8.2f} {unit:<7} ({min(values):.2f} .. {max(values):.2f})"
              f"   evbd / {name}: {base / m:.2f}   process in the middle: "
              + (f"{statistics.median(cpu[name]):.0f} % CPU" if any(cpu[name]) else "none"),
              flush=True)


# ---- evbd alone ----

def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))


def alone(args):
    lab = Lab()
    try:
        ns, guest = lab.space("h"), lab.space("g")
        starts = []
        for _ in range(max(args.runs, 5)):
            p, c, took = evbd(lab, args, ns)
            starts.append(took * 1e3)
            lab.stop(p)
        print(f"start       median {statistics.median(starts):.1f} ms "
              f"({min(starts):.1f} .. {max(starts):.1f}), with `ip netns exec`")
        p, c, _ = evbd(lab, args, ns)
        pid = pid_of_evbd(p, c)
        c.call("bridge.add", bridge="br0")
        vms = []
        for i in range(20):
            start = time.monotonic()
            c.call("port.add", ifname=f"vm{i}", bridge="br0", kind="tap",
                   mac=[f"02:00:00:00:02:{i:02x}"], mode="bridge")
            vms.append((time.monotonic() - start) * 1e3)
            c.call("port.del", ifname=f"vm{i}")
        print(f"port add    VM: median {statistics.median(vms):.2f} ms "
              f"({min(vms):.2f} .. {max(vms):.2f})")
        before, adds = resident(pid), []
        for i in range(200):
            start = time.monotonic()
            c.call("port.add", ifname=f"p{i}", bridge="br0", kind="tap", netns=guest, name=f"e{i}",
                   mac=[f"02:00:00:00:01:{i:02x}"], mode="bridge")
            adds.append((time.monotonic() - start) * 1e3)
        print(f"port add    container: median {statistics.median(adds):.2f} ms; first 20: "
              f"{statistics.median(adds[:20]):.2f}, last 20: {statistics.median(adds[-20:]):.2f}")
        print(f"memory      {(resident(pid) - before) / 200:.1f} KiB per port "
              f"({resident(pid)} KiB with 200 ports)")
        time.sleep(2)
        start, at = cpu_seconds(pid), time.monotonic()
        time.sleep(10)
        used = (cpu_seconds(pid) - start) / (time.monotonic() - at)
        print(f"idle        {used * 100:.2f} % CPU with 200 ports over 10 s")
    finally:
        lab.close()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("--build", default="build")
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--seconds", type=int, default=2)
    args = a.parse_args()
    args.build = os.path.abspath(args.build)
    if os.geteuid() != 0:
        sys.exit("system_bench: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    alone(args)
    compare(args, "throughput", "Gbit/s", throughput)
    compare(args, "small", "kpps", small)


if __name__ == "__main__":
    main()
