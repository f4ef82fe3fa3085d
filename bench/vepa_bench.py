#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The VEPA path, guest to uplink to reflecting bridge to guest: evbd beside its peers, in one run.

    small   frames of 64 octets a second from one guest to another, of one UDP socket
    some, many    the same, of 8 and of 64 sockets in turn
    tcp     Gbit/s by iperf3, and CPU time of the whole machine for each Gbit

The uplink is one end of a veth pair; at the other end is a Linux bridge that reflects (hairpin),
the same for all. Candidates:

    evbd-xdp, evbd-packet   guests by vhost-user (small), taps in their namespaces (tcp)
    evbd-tap                taps of VMMs on a packet uplink, for the guests that the next two have
    macvtap                 kernel macvtap in mode vepa, read and written by a process as a VMM does
    bridge                  Linux bridge with isolated taps, read and written likewise
    ovs                     user-space data path of Open vSwitch: vhost-user and DPDK's AF_XDP
                            driver (small), its own taps and AF_PACKET (tcp)

CPU 1 is the switch's, CPU 0 the guests'; a guest that writes to a tap does the kernel's work too.
Runs interleave the candidates; medians, and medians of the ratios of neighbours.

usage: vepa_bench.py [--build DIR] [--runs N] [--seconds S] [--only PART,...] [-v]     (root)
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import peers
from peers import LOAD_CPU, MACS, PATIENCE, SWITCH_CPU

UPLINK, FAR, FAR_BRIDGE = "u0", "u1", "far"
ADDRESSES = ["10.0.0.1", "10.0.0.2"]


def sh(*cmd, check=True, timeout=30):
    p = subprocess.run([str(c) for c in cmd], timeout=timeout, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    if check and p.returncode:
        raise peers.Failed(f"{' '.join(str(c) for c in cmd)}: {p.stdout.strip()}")
    return p.stdout


def ip(*words):
    return sh("ip", *words)


class Wire:
    """The uplink and the bridge that reflects."""

    def __init__(self):
        ip("link", "add", UPLINK, "type", "veth", "peer", "name", FAR)
        ip("link", "add", FAR_BRIDGE, "type", "bridge", "mcast_snooping", "0")
        ip("link", "set", FAR, "master", FAR_BRIDGE)
        sh("bridge", "link", "set", "dev", FAR, "hairpin", "on")
        for dev in (FAR_BRIDGE, FAR, UPLINK):
            ip("link", "set", dev, "up")

    def close(self):
        ip("link", "del", FAR_BRIDGE)
        ip("link", "del", UPLINK)


class Candidate:
    """Two guests, g0 and g1, of MACs[0] and [1], behind one uplink. `spaces`: their namespaces."""
    name = ""

    def __init__(self, lab, args, spaces):
        self.lab, self.args, self.spaces = lab, args, spaces
        self.place = lab.place("c")
        self.processes = []

    def program(self, name):
        return self.args.build / "bench" / name

    def start(self, cmd, cpu=None, **kw):
        p = self.lab.start(cmd, self.place / "log", cpu, **kw)
        self.processes.append(p)
        return p

    def stop(self):
        for p in reversed(self.processes):
            self.lab.end(p)
        self.processes = []

    def small(self):
        """Mpps."""
        raise peers.Missing("not for small frames")

    def tcp_set_up(self):
        """An interface eth0 in each guest's namespace."""
        raise peers.Missing("not for TCP")

    # what several have

    def vhost_load(self, paths, *words):
        out = self.lab.run([self.program("vhost_load"), "--seconds", self.args.seconds, "--cpu",
                            LOAD_CPU, "--mac-a", MACS[0], "--mac-b", MACS[1], "--touch", "--size",
                            64, "--udp", self.args.sockets, *words, *paths],
                           self.args.seconds + PATIENCE)
        return json.loads(out.splitlines()[-1])["mpps"]

    def tap_load(self, queues):
        out = self.lab.run([self.program("tap_load"), self.args.seconds, 64,
                            self.args.sockets, *MACS, *queues],
                           self.args.seconds + PATIENCE)
        return json.loads(out.splitlines()[-1])["mpps"]

    def tap_pump(self, queues):
        words = [w for ns, q in zip(self.spaces, queues) for w in (f"{ns}:eth0", q)]
        p = self.start([self.program("tap_pump"), *words], stdout=subprocess.PIPE, text=True)
        if p.stdout.readline() != "ready\n":
            raise peers.Failed(f"tap_pump: {peers.tail(p.log)}")


class Evbd(Candidate):
    words = " driver packet"

    def run(self, ports):
        conf, self.socket = self.place / "conf", self.place / "ctl"
        conf.write_text(f"bridge add br0 uplink {UPLINK}{self.words}\n" + "".join(
            f"port add vm{i} bridge br0 {kind} mac {MACS[i]} mode vepa\n"
            for i, kind in enumerate(ports)))
        self.start([self.args.build / "src/daemon/evbd", "-S", self.socket, "-c", conf, "-w", "1"],
                   SWITCH_CPU)
        peers.wait_for("evbd answers", self.socket.is_socket)
        if self.args.verbose:
            print(sh(self.args.build / "src/cli/evb", "-S", self.socket, "port", "show"))

    def small(self):
        paths = [self.place / f"vm{i}" for i in range(2)]
        self.run([f"vhost-user {p}" for p in paths])
        return self.vhost_load(paths)

    def tcp_set_up(self):
        self.run([f"tap netns /run/netns/{ns} name eth0" for ns in self.spaces])


class EvbdXdp(Evbd):
    name, words = "evbd-xdp", " driver xdp"


class EvbdPacket(Evbd):
    name = "evbd-packet"


class EvbdTap(Evbd):
    name = "evbd-tap"

    def small(self):
        self.run(["tap guest vm"] * 2)
        return self.tap_load(["vm0", "vm1"])

    def tcp_set_up(self):
        raise peers.Missing("the same as evbd-packet for TCP")


class Macvtap(Candidate):
    name = "macvtap"

    def queues(self):
        """Character devices; the kernel names them, and nobody makes their nodes here."""
        for i, mac in enumerate(MACS):
            ip("link", "add", "link", UPLINK, "name", f"mv{i}", "address", mac, "type", "macvtap",
               "mode", "vepa")
            ip("link", "set", f"mv{i}", "up")
            dev = next(pathlib.Path(f"/sys/class/net/mv{i}").glob("tap*/dev")).read_text().strip()
            node = self.place / f"tap{i}"
            os.mknod(node, 0o600 | 0o020000, os.makedev(*(int(n) for n in dev.split(":"))))
            yield node

    def small(self):
        return self.tap_load(list(self.queues()))

    def tcp_set_up(self):
        self.tap_pump(list(self.queues()))

    def stop(self):
        super().stop()
        for i in range(2):
            sh("ip", "link", "del", f"mv{i}", check=False)


class Bridge(Candidate):
    """Isolated ports send to the uplink only. A bridge that knew where its guests are would drop
    what one sends to the other, so it has to flood what comes back."""
    name = "bridge"

    def attach(self):
        sh("ip", "link", "del", "br0", check=False)  # an Open vSwitch that was killed leaves one
        ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        ip("link", "set", "br0", "up")
        for dev in (UPLINK, "h0", "h1"):
            ip("link", "set", dev, "master", "br0", "up")
            sh("bridge", "link", "set", "dev", dev, "learning", "off")
        for dev in ("h0", "h1"):
            sh("bridge", "link", "set", "dev", dev, "isolated", "on")

    def small(self):
        for i in range(2):
            ip("tuntap", "add", f"h{i}", "mode", "tap", "vnet_hdr")
        self.attach()
        return self.tap_load(["h0", "h1"])

    def tcp_set_up(self):
        self.tap_pump(["h0", "h1"])
        self.attach()

    def stop(self):
        super().stop()
        sh("ip", "link", "set", UPLINK, "nomaster", check=False)
        for dev in ("br0", "h0", "h1"):
            sh("ip", "link", "del", dev, check=False)


class OvsSwitch(peers.Ovs):
    """Without ports at first."""
    is_client = True  # so that nobody waits for sockets

    def __init__(self, lab, build):
        super().__init__(lab, build, 0)

    def vsctl(self, *words):
        return super().vsctl(*words) if words else ""


class Ovs(Candidate):
    name = "ovs"

    def run(self, uplink, ports):
        """Ports by name; what is not for one of the guests goes by the uplink."""
        self.switch = OvsSwitch(self.lab, self.args.build)
        self.switch.open()
        for name, words in ports.items():
            self.switch.vsctl("add-port", "br0", name, "--", "set", "Interface", name, *words)
        self.switch.tool("ovs-ofctl", "del-flows", "br0")
        flows = [f"in_port={uplink},dl_dst={mac},action=output:g{i}"
                 for i, mac in enumerate(MACS)]
        flows += [f"in_port=g{i},action=output:{uplink}" for i in range(2)]
        # What is reflected of a broadcast goes to the guest that has not sent it.
        flows += [f"in_port={uplink},dl_src={MACS[i]},dl_dst=ff:ff:ff:ff:ff:ff,"
                  f"action=output:g{1 - i}" for i in range(2)]
        for flow in flows:
            self.switch.tool("ovs-ofctl", "--names", "add-flow", "br0", flow)

    def small(self):
        self.run("up", {"up": ["type=dpdk", f"options:dpdk-devargs=net_af_xdp0,iface={UPLINK}"],
                        "g0": ["type=dpdkvhostuser"], "g1": ["type=dpdkvhostuser"]})
        return self.vhost_load([self.switch.place / f"g{i}" for i in range(2)],
                               "--sums")

    def tcp_set_up(self):
        self.run(UPLINK, {UPLINK: ["type=system"], "g0": ["type=internal"],
                          "g1": ["type=internal"]})
        for task in pathlib.Path(f"/proc/{self.switch.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {SWITCH_CPU, LOAD_CPU})
        for i, ns in enumerate(self.spaces):
            ip("link", "set", f"g{i}", "netns", ns, "name", "eth0")

    def stop(self):
        super().stop()
        if hasattr(self, "switch"):
            self.switch.stop()


CANDIDATES = [EvbdXdp, EvbdPacket, EvbdTap, Macvtap, Bridge, Ovs]


# ---- measuring ----

@contextlib.contextmanager
def candidate(lab, args, make, spaces=()):
    wire = Wire()
    c = make(lab, args, spaces)
    try:
        yield c
    finally:
        c.stop()
        wire.close()


def measure_small(lab, args, make):
    with candidate(lab, args, make) as c:
        return {"rate": c.small()}


def busy_seconds():
    """CPU time of the whole machine that was not idle."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = (int(n) for n in f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def iperf(spaces, seconds):
    server = subprocess.Popen(["ip", "netns", "exec", spaces[1], "iperf3", "-s", "-1"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        peers.wait_for("iperf3 listens", lambda: ":5201" in sh(
            "ip", "netns", "exec", spaces[1], "ss", "-Hltn"))
        out = sh("ip", "netns", "exec", spaces[0], "iperf3", "-c", ADDRESSES[1], "-t", seconds,
                 "-J", timeout=seconds + PATIENCE)
    finally:
        server.terminate()
        server.wait()
    return json.loads(out)["end"]["sum_received"]["bits_per_second"] / 1e9


def measure_tcp(lab, args, make):
    spaces = [f"evbv{os.getpid()}{i}" for i in range(2)]
    for ns in spaces:
        ip("netns", "add", ns)
        sh("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    try:
        with candidate(lab, args, make, spaces) as c:
            c.tcp_set_up()
            for i, ns in enumerate(spaces):
                ip("-n", ns, "link", "set", "eth0", "address", MACS[i], "up")
                ip("-n", ns, "addr", "add", f"{ADDRESSES[i]}/24", "dev", "eth0")
            peers.wait_for(f"{make.name}: guests reach each other", lambda: "1 received" in sh(
                "ip", "netns", "exec", spaces[0], "ping", "-c1", "-W1", ADDRESSES[1], check=False))
            before = busy_seconds()
            rate = iperf(spaces, args.seconds)
            return {"rate": rate, "cpu": (busy_seconds() - before) / (rate * args.seconds)}
    finally:
        for ns in spaces:
            ip("netns", "del", ns)


PARTS = {"small": ("frames of 64 octets, one UDP socket", "Mpps", measure_small, 1),
         "some": ("frames of 64 octets, 8 UDP sockets", "Mpps", measure_small, 8),
         "many": ("frames of 64 octets, 64 UDP sockets", "Mpps", measure_small, 64),
         "tcp": ("TCP", "Gbit/s", measure_tcp, 1)}


def spread(values, digits):
    return (f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} .. "
            f"{max(values):.{digits}f})")


def compare(lab, args, title, unit, measure, sockets):
    args.sockets = sockets
    runs, out = [], set()
    for n in range(args.runs):
        got = {}
        for make in CANDIDATES if n % 2 else reversed(CANDIDATES):
            if make.name in out:
                continue
            try:
                got[make.name] = measure(lab, args, make)
            except peers.Missing as e:
                out.add(make.name)
                if args.verbose:
                    print(f"  {make.name}: left out: {e}", flush=True)
            except (peers.Failed, OSError, subprocess.SubprocessError) as e:
                print(f"  {make.name}: failed: {e}", flush=True)
            if args.verbose and make.name in got:
                print(f"    {make.name} {got[make.name]}", flush=True)
        runs.append(got)
    print(f"VEPA path, {title}")
    firsts = [c.name for c in CANDIDATES if issubclass(c, Evbd)]
    for make in CANDIDATES:
        mine = [r[make.name] for r in runs if make.name in r]
        if not mine:
            continue
        line = f"  {make.name:<12} {spread([m['rate'] for m in mine], 3):<26} {unit}"
        if "cpu" in mine[0]:
            line += f"   {spread([m['cpu'] for m in mine], 3)} CPU s/Gbit"
        for first in firsts:
            ratios = [r[first]["rate"] / r[make.name]["rate"]
                      for r in runs if first in r and make.name in r]
            if make.name not in firsts and ratios:
                line += f"   {first} x {statistics.median(ratios):.2f}"
        print(line, flush=True)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("--build", type=pathlib.Path, default="build")
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--seconds", type=int, default=2)
    a.add_argument("--only", default=",".join(PARTS))
    a.add_argument("--candidates", default="")
    a.add_argument("-v", "--verbose", action="store_true")
    args = a.parse_args()
    args.build = args.build.resolve()
    if os.geteuid() != 0:
        sys.exit("vepa_bench: needs root, for network namespaces")
    if args.candidates:
        CANDIDATES[:] = [c for c in CANDIDATES if c.name in args.candidates.split(",")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab = peers.Lab()
    try:
        sh("mount", "-t", "sysfs", "sysfs", "/sys")
        sh("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
           "net.ipv6.conf.default.disable_ipv6=1")
        # The adjacent bridge stands for a switch, which has no firewall of ours.
        sh("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", check=False)
        ip("link", "set", "lo", "up")
        for part in args.only.split(","):
            compare(lab, args, *PARTS[part])
    finally:
        lab.close()


if __name__ == "__main__":
    main()
