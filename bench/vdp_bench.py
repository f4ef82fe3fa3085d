#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""802.1Qbg between processes: how fast VSIs are associated, what they cost, what a flood does.

    associate   1,000 VSIs asked for at once by our station at our bridge, until the station has
                heard of the last; over a plain veth pair, and over a wire that holds each frame
                1 ms (delay_line; the time that it really took is measured by ping)
    lldpad      VSIs associated a second between lldpad and us: our station at lldpad's bridge,
                lldpad's station (vdptool) at ours and at lldpad's
    hour        CPU of 4,000 VSIs kept alive for an hour of virtual time (evb_link_bench)
    flood       ECP, LLDP and VDP as fast as one CPU sends them, at a port of our bridge: CPU of
                its control thread, beside a flood to an ordinary address; do the VSIs of that port
                stay, and is another port served as fast as before?

Medians of RUNS and the spread. Everything happens in network namespaces made here.

usage: vdp_bench.py [--build DIR] [--runs N] [--only PART,...] [--vsis N]     (root)
"""
import argparse
import contextlib
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def spread(values, unit, digits=0):
    return (f"{statistics.median(values):.{digits}f} {unit} "
            f"({min(values):.{digits}f} .. {max(values):.{digits}f})")


def station_text(n):
    """An edge bridge with `n` guests that have no VSI yet."""
    return "bridge add br0 uplink s0\nport set s0 evb auto\n" + "".join(
        f"port add m{i} bridge br0 memory mac 52:54:00:01:{i >> 8:02x}:{i & 255:02x} "
        f"vlan {2 + i}\n" for i in range(n))


def add_vsis(station, n):
    station.call("config.apply", requests=[
        {"method": "vsi.add",
         "params": {"ifname": f"m{i}", "type": 5, "instance": lldpad.instance(i)}}
        for i in range(n)])


BRIDGE = ("bridge add sw0 type learning\nvsitype add 5\nvsitype add 5 version 4\n"
          "port add b0 bridge sw0 packet b0 trunk all evb auto vdp on\n")


def agreed(d, port):
    evblib.wait_for(f"{d.name} speaks EVB", lambda: d.call("evb.show", port=port)[0]["peer"])


def vdp_stats(d, port):
    """Counters of the link, flat: ecp.sent and so on."""
    shown = d.call("evb.show", port=port, stats=True)[0]["stats"]
    return {f"{k}.{name}": n for k, part in shown.items() if isinstance(part, dict)
            for name, n in part.items() if isinstance(n, int)}


def wire(net, delay_us):
    """s0 in a namespace, b0 in another."""
    st, sw = net.ns("st", "sw")
    if delay_us:
        net.slow_veth(st, "s0", sw, "b0", delay_us)
    else:
        net.veth(st, "s0", sw, "b0")
    for ns in (st, sw):
        ns.silence()
    return st, sw


def one_way_ms(st, sw):
    """By ping, before anybody else uses the wire."""
    st.ip("addr add 10.9.0.1/24 dev s0")
    sw.ip("addr add 10.9.0.2/24 dev b0")
    out = st.run("ping", "-n", "-q", "-c", "50", "-i", "0.01", "10.9.0.2").stdout
    st.ip("addr flush dev s0")
    sw.ip("addr flush dev b0")
    least, mean, most, _ = (float(x) / 2 for x in re.search(r"= ([\d./]+) ms", out)[1].split("/"))
    return f"one way {mean:.2f} ms ({least:.2f} .. {most:.2f})"


@contextlib.contextmanager
def a_net():
    net = evblib.Net()
    failed = True
    try:
        yield net
        failed = False
    finally:
        net.close(failed)


class Monitor:
    """Events of VSIs of a daemon."""

    def __init__(self, d):
        self.rpc = evblib.Rpc(d.socket)
        self.rpc.call("monitor.subscribe", kinds=["vsi"])

    def wait(self, state, n):
        """Until `n` VSIs have come to that state; how many went elsewhere than there or asking."""
        strays = 0
        while n:
            to = self.rpc.next_event()["to"]
            n -= to == state
            strays += to not in (state, "asking", "idle")
        return strays


# ---- associate ----

def associate_once(args, station, bridge, port="b0"):
    """Milliseconds until all stand, and until the command was answered; what ECP did."""
    monitor = Monitor(station)
    before = vdp_stats(station, "s0")
    start = time.monotonic()
    add_vsis(station, args.vsis)
    answered = time.monotonic() - start
    strays = monitor.wait("associated", args.vsis)
    stand = time.monotonic() - start
    stats = {k: n - before.get(k, 0) for k, n in vdp_stats(station, "s0").items()}
    at_bridge = sum(v["state"] == "associated" for v in bridge.call("vsi.show", ifname=port))
    station.call("config.apply", requests=[
        {"method": "vsi.del", "params": {"ifname": f"m{i}"}} for i in range(args.vsis)])
    evblib.wait_for("none is left", lambda: not bridge.call("vsi.show", ifname=port))
    monitor.rpc.close()
    return {"stand": stand * 1e3, "answered": answered * 1e3, "lost": strays,
            "missing": args.vsis - at_bridge, "pdus": stats.get("ecp.sent", 0),
            "again": stats.get("ecp.retransmitted", 0)}


def associate(args):
    for delay_us in (0, 1000):
        with a_net() as net:
            st, sw = wire(net, delay_us)
            way = one_way_ms(st, sw)
            bridge = net.evbd(sw, BRIDGE, name="bridge")
            station = net.evbd(st, station_text(args.vsis), name="station")
            agreed(station, "s0")
            agreed(bridge, "b0")
            runs = [associate_once(args, station, bridge) for _ in range(args.runs)]
        print(f"associate  {args.vsis} VSIs, {way}: all stand after "
              f"{spread([r['stand'] for r in runs], 'ms')}; the command was answered after "
              f"{spread([r['answered'] for r in runs], 'ms')}; ECPDUs sent "
              f"{max(r['pdus'] for r in runs)}, again {max(r['again'] for r in runs)}, "
              f"lost {sum(r['lost'] + r['missing'] for r in runs)}", flush=True)


# ---- lldpad ----

def with_ours(args, net, st, sw, rte):
    """Our station at lldpad's bridge: seconds until all stand; how many were lost, of how many."""
    lldpad.Lldpad(net, sw, "b0", role="bridge", rte=rte)
    d = net.evbd(st, station_text(LLDPAD_VSIS) + f"port set s0 evb-rte {rte}\n", name="station")
    agreed(d, "s0")
    time.sleep(1)  # its VDP begins a second after its link
    monitor = Monitor(d)
    start = time.monotonic()
    add_vsis(d, LLDPAD_VSIS)
    lost = monitor.wait("associated", LLDPAD_VSIS)
    return time.monotonic() - start, lost, LLDPAD_VSIS


def with_vdptool(args, net, st, sw, rte, ours=True):
    """lldpad's station, asked by one vdptool after another (it mixes up the answers to several),
    at our bridge or at its own."""
    if ours:
        d = net.evbd(sw, BRIDGE + f"port set b0 evb-rte {rte}\n", name="bridge")
    else:
        lldpad.Lldpad(net, sw, "b0", role="bridge", rte=rte)
    peer = lldpad.Lldpad(net, st, "s0", rte=rte)
    evblib.wait_for("lldpad hears the bridge", lambda: "EVB" in peer.neighbour())
    if ours:
        agreed(d, "b0")

    def ask(i):
        said = peer.vdptool("assoc", i, typeid=5, filter_=f"7-52:54:00:01:00:{i:02x}")
        return f"filter = 7-52:54:00:01:00:{i:02x}" in said
    evblib.wait_for("lldpad takes requests", lambda: ask(0), every=0.5)
    start = time.monotonic()
    answered = sum(ask(i) for i in range(1, VDPTOOL_VSIS + 1))
    took = time.monotonic() - start
    if ours:
        answered = min(answered, sum(v["state"] == "associated" for v in d.call("vsi.show")))
    return took, VDPTOOL_VSIS - answered, VDPTOOL_VSIS


def with_vdptool_at_lldpad(args, net, st, sw, rte):
    return with_vdptool(args, net, st, sw, rte, ours=False)


LLDPAD_VSIS, VDPTOOL_VSIS = 60, 24
PAIRS = {"our station, lldpad's bridge": with_ours,
         "lldpad's station, our bridge": with_vdptool,
         "lldpad's station, lldpad's bridge": with_vdptool_at_lldpad}


def lldpad_pairs(args):
    """Answers come one in the time of an acknowledgement from lldpad: 164 ms by default, 10 ms."""
    for rte in (14, 10):
        for name, pair in PAIRS.items():
            runs = []
            for _ in range(max(1, args.runs // 2)):
                with a_net() as net:
                    runs.append(pair(args, net, *wire(net, 0), rte))
            print(f"lldpad     {name}, rte {rte}: "
                  f"{spread([n / took for took, _, n in runs], 'a second', 1)}, "
                  f"{sum(lost for _, lost, _ in runs)} of {sum(n for *_, n in runs)} lost",
                  flush=True)


# ---- hour ----

def hour(args):
    runs = []
    for _ in range(args.runs):
        out = evblib.run([evblib.BUILD / "bench/evb_link_bench"], timeout=60).stdout
        runs.append(float(re.search(r"([\d.]+) s of CPU", out)[1]))
    print(f"hour       4,000 VSIs, an hour of virtual time: {spread(runs, 's', 2)} of CPU for both "
          f"ends together", flush=True)


# ---- flood ----

FLOOD_VSIS = 100
FLOODER = "02000000fffe"
ECP_VDP = ("10017777"  # a request of VDP, with an association of a type that there is none of
           "0a10" + 16 * "00" + "0621000000630005" + 8 * "11" + 8 * "22" + "020001525400990001000a")
FLOODS = {"none": None, "ordinary": "020000000077" + FLOODER + "88b5",
          "LLDP": "0180c2000000" + FLOODER + "88cc0207040200000000ff0403033132060200780000",
          "ECP, VDP": "0180c2000000" + FLOODER + "8940" + ECP_VDP}


def control_thread(d):
    """Seconds of CPU of the thread that everything but frames is done by."""
    pid = d.call("daemon.show")["pid"]
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def flooded(net, kind):
    """Two stations at our bridge, the first with VSIs that are kept alive each 0.7 s, and 4 s of
    frames at its port; meanwhile the other's are made and ended, again and again."""
    values = " evb-rka 16 evb-rte 12 evb-rwd 16"
    sw, a, b = net.ns("sw", "a", "b")
    for ns in (sw, a, b):
        ns.silence()
    for x, ns in (("0", a), ("1", b)):
        net.veth(ns, "s0", sw, f"b{x}")
    bridge = net.evbd(sw, "bridge add sw0 type learning\nvsitype add 5\n" + "".join(
        f"port add b{x} bridge sw0 packet b{x} trunk all evb auto vdp on{values}\n"
        for x in "01"), name="bridge", args=["-w", "1"])
    stations = [net.evbd(ns, station_text(FLOOD_VSIS) + f"port set s0{values}\n", name=ns.short)
                for ns in (a, b)]
    for x, d in enumerate(stations):
        agreed(d, "s0")
        agreed(bridge, f"b{x}")
    monitor = Monitor(stations[0])
    add_vsis(stations[0], FLOOD_VSIS)
    monitor.wait("associated", FLOOD_VSIS)
    monitor.rpc.close()
    heads = FLOODS[kind]
    flood = heads and a.popen(evblib.BUILD / "bench/xdp_load", "send", "s0", "5", heads,
                              stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    cpu, start, took = control_thread(bridge), time.monotonic(), []
    args = argparse.Namespace(vsis=FLOOD_VSIS)
    while time.monotonic() < start + 4:
        took.append(associate_once(args, stations[1], bridge, "b1")["stand"])
        time.sleep(0.3)
    cpu = (control_thread(bridge) - cpu) / (time.monotonic() - start)
    events = vdp_stats(bridge, "b0")
    stay = sum(v["state"] == "associated" for v in bridge.call("vsi.show", ifname="b0"))
    sent = float(flood.communicate()[0]) if flood else 0
    return {"mpps": sent, "cpu": 100 * cpu, "took": statistics.median(took), "stay": stay,
            "ended": events.get("vdp.timed_out", 0)}


def flood(args):
    for kind in FLOODS:
        with a_net() as net:
            r = flooded(net, kind)
        print(f"flood      {kind:9} {r['mpps']:5.2f} Mpps: control thread {r['cpu']:4.1f} % CPU; "
              f"{FLOOD_VSIS} VSIs of another port stand after {r['took']:.0f} ms; of {FLOOD_VSIS} "
              f"of the same port {r['stay']} stay, {r['ended']} were let go of", flush=True)


PARTS = {"associate": associate, "lldpad": lldpad_pairs, "hour": hour, "flood": flood}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("--build", type=pathlib.Path, default="build")
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--only", default=",".join(PARTS))
    a.add_argument("--vsis", type=int, default=1000, help="for associate, 1024 at most")
    args = a.parse_args()
    if os.geteuid() != 0:
        sys.exit("vdp_bench: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ["EVB_BUILD"] = str(args.build.resolve())
    global evblib, lldpad
    import evblib  # it asks EVB_BUILD where the programs are
    import lldpad
    for part in args.only.split(","):
        PARTS[part](args)


if __name__ == "__main__":
    main()
