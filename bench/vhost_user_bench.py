#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""evbd's vhost-user ports beside DPDK testpmd (io) and OVS-DPDK (NORMAL), in one run.

    light      frames a second under a light generator (vhost_load), one way and both ways
    testpmd    the same with testpmd as the generator, both ways
    ports      evbd with 2 loaded ports of 2, of 64 and of 1,024
    gso        64 KiB frames, against one core that copies the same from memory to memory
    wakeup     the first frame after a rest, against a bare eventfd and against polling
    idle       CPU time with 256 guests that do nothing
    memory     per port with a guest
    multicast  one frame to 1 and to 63 others
    stages     where evbd's time goes, by function (perf; callgrind, if it is there)

The switch has CPU 1, the load CPU 0. Candidates take turns, those who wait are stopped. The round
trip between the CPUs is measured before and after each; a run in which it changed by more than a
quarter is repeated, a few times at most. Medians of the runs; ratios are medians of the ratios of
neighbours.

usage: vhost_user_bench.py [--build DIR] [--runs N] [--seconds S] [--only PART,...]
                           [--sizes N,...] [-v]     (root)
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import peers

SIZES = "64,256,512,1500"
UNSTEADY = 1.25  # largest round trip by the smallest
CROWDED = 0.05  # share of its time that a switch waited for its CPU
RETRIES = 2


class Bench:
    def __init__(self, lab, args):
        self.lab, self.args, self.build = lab, args, args.build
        self.said = set()

    def program(self, name):
        path = self.build / "bench" / name
        if not path.exists():
            raise peers.Missing(f"{path} is not built")
        return path

    def json(self, name, *words, seconds=1.0, cpu=peers.LOAD_CPU):
        """What a program of ours measured."""
        out = self.lab.run([self.program(name), *words], seconds + peers.PATIENCE, cpu)
        return json.loads(out.splitlines()[-1])

    def round_trip(self):
        return self.json("pingpong", cpu=None)["rtt_ns"]

    def skip(self, what, why):
        line = f"{what}: skipped: {why}"
        if line not in self.said:
            self.said.add(line)
            print(line, flush=True)

    @contextlib.contextmanager
    def switches(self, *makes):
        """Those that can be had, asleep."""
        made = []
        try:
            for make in makes:
                switch = make(self.lab, self.build)
                try:
                    switch.open()
                    switch.pause()
                    made.append(switch)
                except (peers.Missing, peers.Failed) as e:
                    self.skip(make.name, e)
                    switch.stop()
            yield made
        finally:
            for switch in made:
                switch.stop()

    @contextlib.contextmanager
    def guests(self, paths, ring=64):
        """Guests that are there and do nothing."""
        p = self.lab.start([self.program("vhost_guests"), "--ring", ring, *paths],
                           self.lab.folder / "guests.log", peers.LOAD_CPU, text=True,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            if p.stdout.readline() != "ready\n":
                raise peers.Failed(f"guests: {peers.tail(p.log)}")
            yield
        finally:
            self.lab.end(p)

    @contextlib.contextmanager
    def crowd(self, n_ports, n_busy=2):
        """evbd, awake, with that many ports, of which all but the first few have idle guests."""
        switch = peers.Evbd(self.lab, self.build, n_ports)
        try:
            switch.open()
            with self.guests(switch.paths[n_busy:]) if n_ports > n_busy else \
                    contextlib.nullcontext():
                yield switch
        finally:
            switch.stop()

    def one_run(self, candidates, backwards):
        """A value per candidate, the round trips before, between and after, and the crowding."""
        trips, values = [self.round_trip()], {}
        self.lab.crowding = 0.0
        for name, measure in reversed(candidates) if backwards else candidates:
            try:
                values[name] = measure()
            except peers.Missing as e:
                self.skip(name, e)
            except peers.Failed as e:
                print(f"  {name}: failed: {e}", flush=True)
            trips.append(self.round_trip())
        return values, trips, self.lab.crowding

    def steady_run(self, candidates, backwards):
        """The run, and how often it had to be repeated; the steadiest one if none is steady."""
        best = None
        for n in range(RETRIES + 1):
            values, trips, crowding = self.one_run(candidates, backwards)
            # How bad it was: up to 1 is steady.
            bad = max((max(trips) / min(trips) - 1) / (UNSTEADY - 1), crowding / CROWDED)
            if self.args.verbose:
                shown = "  ".join(f"{k} {v:.3f}" for k, v in values.items())
                print(f"    {shown}  rtt {' '.join(f'{t:.0f}' for t in trips)} ns  others "
                      f"{crowding * 100:.0f} %{'  unsteady' if bad > 1 else ''}", flush=True)
            if best is None or bad < best[0]:
                best = bad, values, trips, crowding
            if bad <= 1:
                break
        return best, n

    def compare(self, title, unit, candidates):
        """Print the candidates, [(name, measure)], and the first one's ratio to each other one."""
        if not candidates:
            return
        print(title, flush=True)
        runs, repeated = [], 0
        for i in range(self.args.runs):
            run, n = self.steady_run(candidates, i % 2)
            runs.append(run)
            repeated += n
        first = candidates[0][0]
        for name, _ in candidates:
            got = [v[name] for _, v, _, _ in runs if name in v]
            ratios = [v[first] / v[name] for _, v, _, _ in runs if v.get(name) and first in v]
            if got:
                ratio = f"   {first} / {name} {spread(ratios)}" if name != first and ratios else ""
                print(f"  {name:<10} {spread(got)} {unit}{ratio}", flush=True)
        trips = [t for _, _, ts, _ in runs for t in ts]
        print(f"  machine    round trip {min(trips):.0f} .. {max(trips):.0f} ns, others took up to "
              f"{max(c for _, _, _, c in runs) * 100:.0f} % of the CPU; {repeated} repeated, "
              f"{sum(bad > 1 for bad, _, _, _ in runs)} of {len(runs)} runs unsteady", flush=True)

    def load(self, switch, *words):
        """vhost_load between the first two ports."""
        seconds = self.args.seconds
        if switch.is_client:
            words = ("--server", *words)
        with switch.awake():
            got = self.json("vhost_load", "--seconds", seconds, "--cpu", peers.LOAD_CPU, "--mac-a",
                            peers.MACS[0], "--mac-b", peers.MACS[1], *words, *switch.paths[:2],
                            seconds=seconds)
        if not got["received"]:
            raise peers.Failed("no frame came through")
        return got


def spread(values):
    return f"{statistics.median(values):8.2f} ({min(values):.2f} .. {max(values):.2f})"


def ring(packed):
    return "packed" if packed else "split"


# ---- throughput ----

def part_light(bench):
    bench.program("vhost_load")
    with bench.switches(peers.Evbd, peers.Testpmd, peers.Ovs) as switches:
        for packed in (False, True):
            for way in ((), ("--both",)):
                for size in bench.args.sizes:
                    def measure(switch, words=(f"--{ring(packed)}", "--size", size, *way)):
                        return bench.load(switch, "--touch", *words)["mpps"]
                    bench.compare(f"light {ring(packed)} {size} octets, "
                                  f"{'both ways' if way else 'one way'}", "Mpps",
                                  [(s.name, lambda s=s, m=measure: m(s)) for s in switches])


def part_testpmd(bench):
    def measure(switch, packed, size):
        with switch.awake():
            load = peers.TestpmdLoad(bench.lab, switch, packed)
            try:
                return load.run(size, bench.args.seconds) / 1e6
            finally:
                load.close()
    with bench.switches(peers.Evbd, peers.Testpmd, peers.Ovs) as switches:
        for packed in (False, True):
            for size in bench.args.sizes:
                bench.compare(f"testpmd {ring(packed)} {size} octets, both ways", "Mpps",
                              [(s.name, lambda s=s: measure(s, packed, size)) for s in switches])


def part_ports(bench):
    bench.program("vhost_load")
    with contextlib.ExitStack() as stack:
        made = []
        for n in (2, 64, 1024):
            made.append(stack.enter_context(bench.crowd(n)))
            made[-1].pause()
        for size in (64, 1500):
            bench.compare(f"ports split {size} octets, both ways, 2 loaded", "Mpps", [
                (f"{s.n_ports} ports",
                 lambda s=s, size=size: bench.load(s, "--both", "--touch", "--size", size)["mpps"])
                for s in made])


GSO_SIZE = 65226
GSO_RINGS = {"64 KiB buffers": (32, 65600), "2 KiB buffers": (256, 2048)}


def part_gso(bench):
    bench.program("vhost_load")
    seconds = bench.args.seconds

    def copy(ring_size, into, touch):
        return bench.json("copy_bench", "--size", GSO_SIZE, "--sources", ring_size, "--into", into,
                          "--room", max(ring_size * into, GSO_SIZE + into), "--seconds", seconds,
                          "--cpu", peers.SWITCH_CPU, "--touch-cpu", peers.LOAD_CPU, *touch,
                          seconds=seconds, cpu=None)["gbit_s"]

    def measure(switch, ring_size, into, touch):
        return bench.load(switch, "--gso", "--size", GSO_SIZE, "--ring", ring_size, "--rx-buf",
                          into, *touch)["gbit_s"]
    with bench.switches(peers.Evbd, peers.TestpmdTso, peers.OvsTso) as switches:
        for title, (ring_size, into) in GSO_RINGS.items():
            for touch in ((), ("--touch",)):
                words = (ring_size, into, touch)
                cases = [(s.name, lambda s=s, w=words: measure(s, *w)) for s in switches]
                cases.insert(1, ("copy", lambda w=words: copy(*w)))
                bench.compare(f"gso 64 KiB frames, {title}"
                              f"{', written and read by the guests' if touch else ''}", "Gbit/s",
                              cases)


# ---- idling ----

WAKEUPS = [("wake", "bare_wake", "after a rest, guest polls; bare: eventfd"),
           ("wake", "bare_poll", "the same; bare: polling"),
           ("both", "bare_both", "after a rest, guest sleeps; bare: two eventfds"),
           ("busy", "bare_busy", "after 10 us, guest polls; bare: polling")]


def part_wakeup(bench):
    def measure(switch):
        words = ["--cpu", peers.LOAD_CPU, "--switch-cpu", peers.SWITCH_CPU, "--mac-a",
                 peers.MACS[0], "--mac-b", peers.MACS[1]]
        bare = bench.json("wakeup_bench", *words, seconds=10, cpu=None)
        with switch.awake():
            words += switch.paths[:2]
            return bare | bench.json("wakeup_bench", *words, seconds=10, cpu=None)
    with bench.switches(peers.Evbd, peers.Testpmd, peers.Ovs) as switches:
        got, trips = {s.name: [] for s in switches}, [bench.round_trip()]
        for s in switches * bench.args.runs:
            try:
                got[s.name].append(measure(s))
            except peers.Failed as e:
                print(f"  {s.name}: failed: {e}", flush=True)
            trips.append(bench.round_trip())
    for name, runs in ((name, runs) for name, runs in got.items() if runs):
        lost = sum(r["lost"] for r in runs)
        print(f"wakeup through {name}{f', {lost} frames lost' if lost else ''}")
        for through, bare, title in WAKEUPS:
            print(f"  {title}")
            for p in ("p50", "p99"):
                us = [r[through][p] / 1e3 for r in runs]
                own = [r[bare][p] / 1e3 for r in runs]
                ratio = [a / b for a, b in zip(us, own)]
                print(f"    {p} {spread(us)} us   bare {spread(own)} us   ratio {spread(ratio)}",
                      flush=True)
    print(f"  machine    round trip {min(trips):.0f} .. {max(trips):.0f} ns")


def part_idle(bench):
    with bench.crowd(256, 0) as switch:
        time.sleep(2)
        start, at = peers.cpu_seconds(switch.pid), time.monotonic()
        time.sleep(5)
        used = (peers.cpu_seconds(switch.pid) - start) / (time.monotonic() - at)
    print(f"idle      {used * 100:.3f} % CPU with 256 guests connected", flush=True)


def part_memory(bench):
    sizes = {}
    for n in (2, 258):
        with bench.crowd(n, 0) as switch:
            time.sleep(0.5)
            sizes[n] = peers.resident(switch.pid)
    own, shared = ((b - a) / 256 for a, b in zip(sizes[2], sizes[258]))
    print(f"memory    {own:.1f} KiB per port with a guest, and {shared:.1f} KiB of the guest's own "
          f"touched; {sizes[2][0]} KiB with 2 ports, {sizes[258][0]} KiB with 258", flush=True)


def part_multicast(bench):
    seconds = bench.args.seconds

    def measure(switch):
        with switch.awake():
            got = bench.json("vhost_guests", "--flood", seconds, "--mac", peers.MACS[0],
                             *switch.paths, seconds=seconds)
        return got["copies"] / got["seconds"] / 1e6

    def of(kind, n):
        made = type(kind.__name__, (kind,), {"name": f"{kind.name} {n - 1}"})
        return lambda lab, build: made(lab, build, n)
    makes = [of(peers.Evbd, 64), of(peers.Evbd, 2), of(peers.Ovs, 64)]
    for make in makes:
        make.name = "multicast"
    with bench.switches(*makes) as switches:
        bench.compare("multicast 64 octets, copies a second to 63 ports and to 1", "Mcopies",
                      [(s.name, lambda s=s: measure(s)) for s in switches])


# ---- where the time goes ----

def part_stages(bench):
    perf = shutil.which("perf")
    if not perf:
        bench.skip("stages by perf", "not installed (Debian package linux-perf)")
    else:
        bench.program("vhost_load")
        with bench.switches(peers.Evbd) as switches:
            for switch in switches:
                for size in (64, 1500):
                    profile(bench, perf, switch, size)
    if not shutil.which("valgrind"):
        bench.skip("stages by callgrind", "not installed (Debian package valgrind)")
    else:
        for packed in (False, True):
            instructions(bench, packed)


def instructions(bench, packed):
    """By callgrind: instructions of turns between two ports, by function, without the guests."""
    turns, out = 2000, bench.lab.place("cg") / "out"
    words = ["--packed"] if packed else []
    bench.lab.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
                   "--toggle-collect=turn_run", bench.program("vhost_turn_bench"), *words,
                   "--turns", turns], 300)
    text = bench.lab.run(["callgrind_annotate", out], 60)
    print(f"stages {ring(packed)} 64 octets, instructions by callgrind")
    shares = {}  # a function has a row per file that its inlined parts come from
    for share, name in re.findall(r"^\s*[\d,]+ \(\s*([\d.]+)%\)\s+\S*?:(\S+)", text,
                                  re.MULTILINE):
        shares[name] = shares.get(name, 0) + float(share)
    print_shares(shares)


def print_shares(shares, ns=None):
    for name, share in sorted(shares.items(), key=lambda x: -x[1]):
        if share >= 0.5:
            time_of = f"  {share / 100 * ns:7.2f} ns" if ns else ""
            print(f"  {share:6.2f} %{time_of}  {name}", flush=True)


def profile(bench, perf, switch, size):
    data = bench.lab.place("perf") / "data"
    watch = bench.lab.start([perf, "record", "-q", "-e", "cpu-clock", "-F", "5000", "-p",
                             switch.pid, "-o", data], bench.lab.folder / "perf.log")
    try:
        peers.wait_for("perf watches", lambda: data.exists() and data.stat().st_size)
        mpps = bench.load(switch, "--size", size, "--both", "--touch")["mpps"]
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(peers.PATIENCE)
        bench.lab.end(watch)
    text = bench.lab.run([perf, "report", "-i", data, "--stdio", "-q", "--no-children", "--sort",
                          "symbol"], 60)
    ns = 1e3 / mpps
    print(f"stages {size} octets, both ways: {mpps:.2f} Mpps, {ns:.1f} ns per frame")
    shares = {}
    for line in text.splitlines():  # share, [k] or [.], name or, in the vDSO, an address
        words = line.split()
        if len(words) >= 3 and words[0].endswith("%"):
            name = "kernel" if words[1] == "[k]" else "vdso" if words[2][:2] == "0x" else words[2]
            shares[name] = shares.get(name, 0) + float(words[0][:-1])
    print_shares(shares, ns)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = {k[5:]: f for k, f in globals().items() if k.startswith("part_")}
    a.add_argument("--build", default="build", type=lambda p: pathlib.Path(p).resolve())
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--seconds", type=float, default=1)
    a.add_argument("--only", default=",".join(parts), help="parts, with commas between")
    a.add_argument("--sizes", default=SIZES, help="octets of frames, for light and testpmd",
                   type=lambda text: [int(n) for n in text.split(",")])
    a.add_argument("-v", "--verbose", action="store_true", help="each run")
    args = a.parse_args()
    unknown = set(args.only.split(",")) - set(parts)
    if unknown:
        a.error(f"no such part: {' '.join(unknown)}")
    if os.geteuid() != 0:
        sys.exit("vhost_user_bench: needs root")
    if os.cpu_count() < 2:
        sys.exit("vhost_user_bench: needs two CPUs")
    for s in signal.SIGTERM, signal.SIGHUP:
        signal.signal(s, lambda *_: sys.exit(1))
    lab = peers.Lab()
    try:
        bench = Bench(lab, args)
        for name in args.only.split(","):
            start = time.monotonic()
            try:
                parts[name](bench)
            except (peers.Missing, peers.Failed) as e:
                bench.skip(name, e)
            print(f"({name}: {time.monotonic() - start:.0f} s)", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        lab.close()


if __name__ == "__main__":
    main()
