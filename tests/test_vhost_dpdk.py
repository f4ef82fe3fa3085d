# SPDX-License-Identifier: Apache-2.0
"""DPDK guests: the virtio-user driver of testpmd, in each of its ways to use a ring.

testpmd polls, uses no interrupts, and has paths of its own for each combination of split or packed,
mergeable, in order, and vectorized. It sends back what it gets, with addresses
swapped; a guest made by hand (vhost_front) sends and compares: nothing is lost, changed or early.
"""
import itertools
import os
import struct
import subprocess

import pytest

from evblib import LONG, wait_for
from vhostfront import Front

ROUNDS, BATCH, FLOWS = 4, 16, 4
FRONT_MAC = "52:54:00:00:01:00"
RINGS = [dict(zip(("packed_vq", "mrg_rxbuf", "in_order", "vectorized"), v))
         for v in itertools.product((0, 1), repeat=4)]


def mac_of(i):
    return f"52:54:00:00:00:{i:02x}"


def octets_of(mac):
    return bytes.fromhex(mac.replace(":", ""))


def udp_frame(dst, src, flow, number):
    """A frame of a flow, of a length and with contents that its number decides."""
    payload = struct.pack("!HI", flow, number) * (4 + number * 37 % 236)
    udp = struct.pack("!HHHH", 1000 + flow * 77, 9, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return octets_of(dst) + octets_of(src) + b"\x08\x00" + ip + udp


def start_testpmd(net, ns, sockets, queues, is_server):
    """A testpmd with a port for each socket, which echoes; returns when it does."""
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    argv = ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"(0,1)@({cpus})", "--no-pci", "--no-huge",
            "-m", "512", "--no-telemetry", "--file-prefix", net.prefix,
            "--force-max-simd-bitwidth=512"]
    for i, (path, ring) in enumerate(zip(sockets, RINGS)):
        words = ",".join(f"{k}={v}" for k, v in ring.items())
        argv.append(f"--vdev=net_virtio_user{i},path={path},mac={mac_of(i)},queues={queues},"
                    f"queue_size=256,server={int(is_server)},{words}")
    argv += ["--", "-i", "--auto-start", "--nb-cores=1", "--total-num-mbufs=24000",
             "--no-mlockall", f"--rxq={queues}", f"--txq={queues}", "--forward-mode=macswap",
             "--port-topology=loop"]
    log = net.dir / "testpmd.log"
    with open(log, "wb") as f:
        process = ns.popen(*argv, stdin=subprocess.PIPE, stdout=f, stderr=f,
                           env={**os.environ, "XDG_RUNTIME_DIR": str(net.dir)})

    def echoes():
        text = log.read_text(errors="replace")
        assert process.poll() is None, text[-2000:]
        return "testpmd>" in text and "macswap" in text
    wait_for("testpmd forwards", echoes, timeout=60)
    return process


def verify_echo(front, mac):
    """All frames come back as they were, those of a flow in order."""
    number = 0
    for _ in range(ROUNDS):
        wanted = {flow: [] for flow in range(FLOWS)}
        for k in range(BATCH):
            flow = k % FLOWS
            front.send(udp_frame(mac, FRONT_MAC, flow, number))
            wanted[flow].append(udp_frame(FRONT_MAC, mac, flow, number))
            number += 1
        got = {flow: [] for flow in range(FLOWS)}
        for octets in front.receive(BATCH):
            (port,) = struct.unpack_from("!H", octets, 34)
            got[(port - 1000) // 77].append(octets)
        assert got == wanted


@pytest.mark.parametrize("is_server", [False, True], ids=["evbd-listens", "testpmd-listens"])
@pytest.mark.parametrize("queues", [1, 2])
def test_every_kind_of_ring(net, queues, is_server):
    """16 DPDK guests, one of each kind: each echoes, whoever of evbd and DPDK makes the socket."""
    ns = net.ns("st")
    sockets = [net.dir / f"p{i}" for i in range(len(RINGS))]
    d = net.evbd(ns, "bridge add br0\n" + "".join(
        f"port add p{i} bridge br0 vhost-user {path} mac {mac_of(i)} mode bridge"
        f"{' client' if is_server else ''}\n" for i, path in enumerate(sockets))
        + f"port add f bridge br0 vhost-user {net.dir}/f mac {FRONT_MAC} mode bridge\n")
    process = start_testpmd(net, ns, sockets, queues, is_server)
    front = Front(net)
    front.setup(net.dir / "f")
    d.wait_port("f", "UP")
    for i, ring in enumerate(RINGS):
        d.wait_port(f"p{i}", "UP")
        verify_echo(front, mac_of(i))
        vhost = d.port(f"p{i}", stats=True)["vhost"]
        assert vhost["packed"] == bool(ring["packed_vq"]), ring
        assert ("mrg_rxbuf" in vhost["features"]) == bool(ring["mrg_rxbuf"]), ring
        assert ("in_order" in vhost["features"]) == bool(ring["in_order"]), ring
        assert vhost["faults"] == 0 and len(vhost["queues"]) == queues, vhost
    for i in range(len(RINGS)):
        assert d.drops(f"p{i}").keys() <= {"queue_full"}
    process.stdin.write(b"quit\n")
    process.stdin.close()
    process.wait(LONG)
    for i in range(len(RINGS)):
        d.wait_port(f"p{i}", "DOWN")
