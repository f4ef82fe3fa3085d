#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a VEPA is, in one look: two guests on one host, a firewall on the wire, the adjacent bridge.

Runs in network namespaces of its own (--vm: two QEMU guests) and cleans up after itself. Exit code
0 only if everything turned out as the modes promise. Binaries are taken from $EVB_BUILD (build).
"""
import argparse
import os
import signal
import sys
import time
import uuid

import peers
import topology
from lab import Capture, Lab

PICTURE = """
   g1 ---+                 the wire
         +--- evbd -------------------- firewall ------------ evbd ------------- outside
   g2 ---+  the station,              forbids tcp/23       the adjacent bridge,
            type edge, evb auto                            evb auto, reflective-relay on
"""
ALLOWED, FORBIDDEN = 80, 23
BROADCAST = "ff:ff:ff:ff:ff:ff"
MODES = ("vepa", "bridge", "private")


class Report:
    """Lines as they come, and the table at the end."""

    def __init__(self):
        self.n_failed = 0
        self.rows = {mode: {} for mode in MODES}

    @staticmethod
    def title(text):
        print(f"\n{text}", flush=True)

    def expect(self, ok, text):
        self.n_failed += not ok
        print(f"   {'ok  ' if ok else 'FAIL'}  {text}", flush=True)
        return ok

    def table(self, peer):
        head = ("mode", "g1 to g2", "on the wire", "tcp/23", "outside", "iperf3", "evb", peer)
        rows = [head]
        for mode in MODES:
            row = self.rows[mode]
            rows.append((mode, *(row.get(key, "-") for key in head[1:])))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        for row in rows:
            print("   " + "   ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip())


class Demo:
    """The story, told once per mode."""

    def __init__(self, lab, site, report):
        self.lab, self.site, self.report = lab, site, report
        self.g1, self.g2, self.outside = site.g1, site.g2, site.outside
        self.wire = Capture(site.net.firewall, "up0")

    def between(self):
        """Frames on the wire between the guests: (to the adjacent bridge, back from it)."""
        guests = {self.g1.mac, self.g2.mac}
        return self.wire.count(lambda dst, src: {dst, src} == guests)

    def both_reach_outside(self, mode):
        answered = [g.ping(self.outside.ip, 3) for g in (self.g1, self.g2)]
        ok = all(answered)
        self.report.rows[mode]["outside"] = "reached" if ok else "NOT reached"
        self.report.expect(ok, f"both reach the outside host: {answered[0]} and {answered[1]} "
                               "of 3 pings answered")

    def set_mode(self, mode, why):
        self.report.title(f"$ evb port set g1 mode {mode}; evb port set g2 mode {mode}    # {why}")
        for guest in ("g1", "g2"):
            self.site.evb("port", "set", guest, "mode", mode)
        shown = {p["ifname"]: p.get("mode") for p in self.site.evb_json("port", "show")}
        if not all(shown.get(g) == mode for g in ("g1", "g2")):
            self.report.expect(False, f"evb port show says {shown}")

    def negotiated(self):
        """Nobody told the adjacent bridge to reflect: the station asks, while it has reason to."""
        self.report.title("$ evb evb show    # 802.1Qbg: the station asks for reflective relay")
        now = self.site.wait_reflection("on")
        for line in self.site.evb("evb", "show").splitlines():
            print(f"   {line}")
        self.report.expect(now == "on", f"the adjacent bridge reflects: {now}")

    def vepa(self):
        row = self.report.rows["vepa"]
        self.report.title("mode vepa: every frame goes out to the adjacent bridge, which sends it "
                          "back")
        self.wire.forget()
        answered = self.g1.ping(self.g2.ip)
        up, down = self.between()
        self.report.expect(answered == 5, f"g1 reaches g2: {answered} of 5 pings answered")
        self.report.expect(up >= 10 and down >= 10,
                           f"over the wire: {up} frames out, {down} frames back")
        row["g1 to g2"] = "reached" if answered else "NOT reached"
        row["on the wire"] = f"{up} out, {down} back"
        self.both_reach_outside("vepa")
        self.firewall()

    def firewall(self):
        said = self.g1.greeting(self.g2.ip, ALLOWED)
        self.report.expect(said == "hello from g2", f"tcp/{ALLOWED} from g1 to g2 works")
        said = self.g1.greeting(self.g2.ip, FORBIDDEN)
        dropped = self.site.net.firewall_drops()
        self.report.expect(said == "" and dropped > 0,
                           f"tcp/{FORBIDDEN} is blocked by the firewall ({dropped} packets), "
                           "though both sit on one host")
        self.report.rows["vepa"]["tcp/23"] = "works" if said else "blocked"

    def bridge(self):
        row = self.report.rows["bridge"]
        self.set_mode("bridge", "while they run; a VEB: local switching")
        now = self.site.wait_reflection("off")
        self.report.expect(now == "off", f"the station does not ask any more; reflection is {now}")
        self.wire.forget()
        answered = self.g1.ping(self.g2.ip)
        said = self.g1.greeting(self.g2.ip, FORBIDDEN)
        up, down = self.between()
        self.report.expect(answered == 5, f"g1 reaches g2: {answered} of 5 pings answered")
        self.report.expect(said == "hello from g2", f"tcp/{FORBIDDEN} works: no firewall between")
        self.report.expect(up == down == 0, f"over the wire: {up} frames out, {down} frames back")
        row["g1 to g2"] = "reached" if answered else "NOT reached"
        row["tcp/23"] = "works" if said else "blocked"
        row["on the wire"] = f"{up} out, {down} back"
        self.both_reach_outside("bridge")

    def private(self):
        row = self.report.rows["private"]
        self.set_mode("private", "no local partner, by whatever way")
        self.site.evb("port set down0 evb off", at="adjacent")
        self.report.title("# and the adjacent bridge reflects without being asked (evb off)")
        for guest in (self.g1, self.g2):
            guest.forget_neighbors()
        at_g2 = Capture(*self.site.tap_of("g2"))
        self.wire.forget()
        by_broadcast = self.g1.ping(self.g2.ip, 3)
        out, back = self.wire.count(lambda dst, src: dst == BROADCAST and src == self.g1.mac)
        self.report.expect(by_broadcast == 0 and back > 0,
                           f"by broadcast: {by_broadcast} answers to 3 pings ({out} ARP requests "
                           f"out, {back} reflected)")
        for guest, other in ((self.g1, self.g2), (self.g2, self.g1)):
            guest.set_neighbor(other)
        by_unicast = self.g1.ping(self.g2.ip, 5)
        out, back = self.between()
        self.report.expect(by_unicast == 0 and back >= 5,
                           f"by unicast with static ARP: {by_unicast} answers to 5 pings ({out} "
                           f"frames out, {back} reflected)")
        leaked = sum(at_g2.count(lambda dst, src: src == self.g1.mac))
        drops = self.site.drops("private")
        self.report.expect(leaked == 0 and drops > 0,
                           f"g2 got {leaked} frames of g1; evb drops: {drops} private")
        at_g2.close()
        row["g1 to g2"] = "reached" if by_broadcast + by_unicast else "no"
        row["on the wire"] = f"{out} out, {back} back"
        for guest in (self.g1, self.g2):
            guest.forget_neighbors()
        self.both_reach_outside("private")

    def vsis(self):
        """The same reason and state for both guests, once they have it."""
        return {(v["state"], v.get("reason", "")) for v in self.site.evb_json("vsi", "show")}

    def wait_vsis(self, state):
        end = time.monotonic() + 10
        while {s for s, _ in self.vsis()} != {state} and time.monotonic() < end:
            time.sleep(0.05)
        return {s for s, _ in self.vsis()} == {state}

    def vsi_type(self):
        """The policy of the adjacent bridge, by VSI type, enforced at both ends of the wire."""
        self.report.title("$ evb vsi add g1 type 5 instance UUID    # 802.1Qbg: the adjacent "
                          "bridge decides, by VSI type")
        self.site.evb("port set down0 evb auto", at="adjacent")
        self.site.set_mode("vepa")
        self.site.evb("vsitype add 5 vlan 1", at="adjacent")
        self.site.evb("port set down0 vdp on", at="adjacent")
        for guest in ("g1", "g2"):
            self.site.evb("vsi add", guest, "type 5 instance", str(uuid.uuid4()))
        ok = self.wait_vsis("associated")
        answered = self.g1.ping(self.outside.ip, 3)
        self.report.expect(ok and answered == 3, f"type 5 may be in VLAN 1: associated, {answered} "
                           "of 3 pings to outside answered")
        self.site.evb("vsitype set 5 vlan 10", at="adjacent")
        self.wait_vsis("waiting")
        answered = self.g1.ping(self.outside.ip, 3)
        reason = next(iter(self.vsis()))[1]
        self.report.expect(answered == 0 and self.site.drops("vsi") > 0,
                           f"type 5 may be in VLAN 10 only: {answered} of 3 pings answered; "
                           f"{reason}")
        self.site.evb("vsitype set 5 vlan 1,10", at="adjacent")
        ok = self.wait_vsis("associated")
        answered = self.g1.ping(self.outside.ip, 3)
        self.report.expect(ok and answered == 3, f"in VLAN 1, too: associated again, {answered} of "
                           "3 pings answered")
        for guest in ("g1", "g2"):
            self.site.evb("vsi del", guest)
        self.site.evb("port set down0 vdp off", at="adjacent")

    def throughput(self, peer, seconds):
        """iperf3 in each mode, evb and kernel macvlan in turns."""
        self.report.title(f"throughput: TCP for {seconds} s each, evb beside kernel "
                          f"{peer.kind} with a hairpin bridge, same topology{peer.note}")
        for guest in (self.g2, self.outside, peer.g2, peer.outside):
            guest.start_iperf_server()
        time.sleep(0.5)
        for mode in MODES:
            self.site.set_mode(mode)
            peer.set_mode(mode)
            to_evb, to_peer = ((self.outside.ip, peer.outside.ip) if mode == "private" else
                               (self.g2.ip, peer.g2.ip))
            evb = self.g1.iperf(to_evb, seconds)
            kernel = peer.g1.iperf(to_peer, seconds)
            where = "g1 to outside" if mode == "private" else "g1 to g2"
            self.report.rows[mode] |= {"iperf3": where, "evb": f"{evb:.2f} Gbit/s",
                                       peer.kind: f"{kernel:.2f} Gbit/s"}
            self.report.expect(evb > 0 and kernel > 0,
                               f"{mode:8} {where:14} evb {evb:6.2f} Gbit/s    kernel {peer.kind} "
                               f"{kernel:6.2f} Gbit/s")

    def tell(self, peer, seconds):
        self.g2.serve(ALLOWED)
        self.g2.serve(FORBIDDEN)
        self.negotiated()
        self.vepa()
        self.bridge()
        self.private()
        self.vsi_type()
        self.throughput(peer, seconds)


def interrupted(signum, _frame):
    signal.signal(signum, signal.SIG_IGN)
    sys.exit(f"\nevb demo: {signal.Signals(signum).name}, cleaning up")


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--vm", action="store_true", help="two QEMU guests instead of containers")
    parser.add_argument("--accel", default="tcg", help="QEMU accelerator (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of each throughput measurement")
    parser.add_argument("--build", default=os.environ.get("EVB_BUILD", "build"),
                        help="build directory (%(default)s)")
    return parser.parse_args()


def run(lab, opts):
    report = Report()
    started = time.monotonic()
    print(PICTURE, end="")
    if opts.vm:
        site, peer = peers.build_vms(lab, opts)
    else:
        site, peer = topology.EvbSite(lab, opts.build), peers.MacvlanSite(lab)
        site.add_containers()
    Demo(lab, site, report).tell(peer, opts.seconds)
    if site.stop_daemons():
        report.expect(False, "an evbd did not end cleanly")
    print()
    report.table(peer.kind)
    verdict = f"{report.n_failed} not as expected" if report.n_failed else "all as expected"
    print(f"\nevb demo: {verdict} ({time.monotonic() - started:.0f} s)")
    return 1 if report.n_failed else 0


def main():
    opts = options()
    if os.geteuid():
        sys.exit("evb demo: making network namespaces needs root")
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    lab = Lab()
    try:
        return run(lab, opts)
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(main())
