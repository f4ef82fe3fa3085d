#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Receive and drop: frames of 64 octets on a veth device, by evbd's XDP port, by that port when all
frames are its own, as they are testpmd's, by its packet port, and by DPDK's testpmd (net_af_xdp,
rxonly), in one run; millions of frames a second.

One thread on CPU 0 sends as fast as it can, which includes what the kernel does to receive; CPU 1
is the receiver's. Runs interleave the candidates; medians, and medians of the ratios to testpmd.

usage: xdp_bench.py [--build DIR] [--runs N] [--seconds S]     (root)
"""
import argparse
import pathlib
import statistics
import subprocess
import time

import peers
from peers import LOAD_CPU, PATIENCE, SWITCH_CPU

NEAR, FAR = "x0", "x1"


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=30)


class Bed:
    """A veth pair, made anew for each run: AF_XDP leaves a device later than its socket."""

    def __init__(self, lab, args):
        self.lab, self.args = lab, args
        self.load = args.build / "bench/xdp_load"

    def run(self, candidate):
        ip("link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        try:
            for dev in (NEAR, FAR):
                ip("link", "set", dev, "up")
            return candidate(self)
        finally:
            ip("link", "del", NEAR)

    def send(self, seconds):
        return self.lab.start([self.load, "send", FAR, seconds], self.lab.folder / "send.log",
                              LOAD_CPU, stdout=subprocess.PIPE, text=True)


def evbd(kind):
    def measure(bed):
        seconds = bed.args.seconds
        p = bed.lab.start([bed.load, kind, NEAR, seconds], bed.lab.folder / "drop.log",
                          SWITCH_CPU, stdout=subprocess.PIPE, text=True)
        if p.stdout.readline() != "ready\n":
            raise peers.Failed(f"xdp_load {kind}: {peers.tail(p.log)}")
        sender = bed.send(seconds + 2)
        out, _ = p.communicate(timeout=seconds + PATIENCE)
        bed.lab.end(sender)
        return float(out)
    return measure


def testpmd(bed):
    seconds = bed.args.seconds
    prompt = peers.Prompt(bed.lab, bed.lab.folder / "pmd.log", SWITCH_CPU,
                          ["--file-prefix=xdp", "--vdev", f"net_af_xdp0,iface={NEAR}"],
                          ["--no-flush-rx", "--forward-mode=rxonly"])
    try:
        prompt.say("start")
        sender = bed.send(seconds + 2)
        time.sleep(0.5)
        n0, t0 = prompt.received()
        time.sleep(seconds)
        n1, t1 = prompt.received()
        bed.lab.end(sender)
        return (n1 - n0) / (t1 - t0) / 1e6
    finally:
        bed.lab.end(prompt.p, hard=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()
    args.build = args.build.resolve()
    lab = peers.Lab()
    bed = Bed(lab, args)
    candidates = {"evbd xdp": evbd("xdp"), "evbd xdp, all": evbd("xdp-all"),
                  "evbd packet": evbd("packet"), "testpmd": testpmd}
    figures = {name: [] for name in candidates}
    try:
        for _ in range(args.runs):
            for name, candidate in candidates.items():
                try:
                    figures[name].append(bed.run(candidate))
                except peers.Missing as e:
                    print(f"{name}: {e}")
    finally:
        lab.close()
    for name, runs in figures.items():
        if not runs:
            continue
        ratios = [a / b for a, b in zip(runs, figures["testpmd"]) if b]
        ratio = f"  x {statistics.median(ratios):.2f} of testpmd" if ratios else ""
        print(f"{name:14} {statistics.median(runs):6.2f} Mpps ({min(runs):.2f} to "
              f"{max(runs):.2f}){ratio}")


if __name__ == "__main__":
    main()
