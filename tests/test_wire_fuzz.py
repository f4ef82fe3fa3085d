# SPDX-License-Identifier: Apache-2.0
"""Malformed frames on the wire: dropped and counted, and the neighbours notice nothing."""
import random
import socket
import struct

import pytest

from evblib import Guest, Station, in_netns, ping_matrix, wait_for
from frames import SOL_PACKET, mac_octets

PACKET_VNET_HDR = 15
FRAMES = 3000
NO_OFFLOAD = bytes(10)
ADDRESSES = ["02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "01:00:5e:01:01:01",
             "33:33:00:00:00:01", "01:80:c2:00:00:00", "01:80:c2:00:00:0e", "02:00:00:00:00:77",
             "00:00:00:00:00:00"]


class Offloader:
    """A packet socket whose frames begin with an offload header."""

    def __init__(self, ns, dev):
        with in_netns(ns.path):
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.s.bind((dev, 0))
        self.sent = 0

    def send(self, header, octets):
        try:
            self.s.send(header + octets)
            self.sent += 1
        except OSError:
            pass  # the sending kernel itself refuses the worst of them


def packet(r):
    """IPv4 or IPv6 with TCP or UDP, well-formed but for the checksums."""
    tcp = struct.pack("!HHIIBBHHH", 1234, 80, r.getrandbits(32), 1, 0x50, 0x18, 500, 0, 0)
    is_tcp, is_ipv6 = r.random() < 0.6, r.random() < 0.4
    payload = r.randbytes(r.choice([0, 1, 100, 1000]))
    l4 = (tcp if is_tcp else struct.pack("!HHHH", 53, 53, 8 + len(payload), 0)) + payload
    protocol = 6 if is_tcp else 17
    if is_ipv6:
        return 0x86dd, struct.pack("!IHBB", 6 << 28, len(l4), protocol, 64) + bytes(32) + l4
    return 0x0800, struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 1, 0, 64, protocol, 0) + \
        bytes([10, 0, 0, 77, 10, 0, 0, 1]) + l4


def mutated(r):
    """(offload header, frame) of any sort."""
    ethertype, body = packet(r)
    kind = r.randrange(8)
    header = NO_OFFLOAD
    tags = b"".join(struct.pack("!HH", r.choice([0x8100, 0x88a8]), r.getrandbits(16))
                    for _ in range(r.choice([0, 0, 0, 1, 2, 3])))
    if kind == 0:  # any other protocol
        ethertype = r.choice([0x8808, 0x88cc, 0x8940, 0x0806, 0x9999, r.getrandbits(16)])
    elif kind == 1:
        body = r.randbytes(r.randrange(0, 1400))
    elif kind in (2, 3):  # lengths and header fields that lie
        body = bytearray(body)
        for _ in range(r.randrange(1, 6)):
            body[r.randrange(min(len(body), 60))] = r.getrandbits(8)
    octets = mac_octets(r.choice(ADDRESSES)) + \
        mac_octets(r.choice(["02:00:00:00:00:99"] * 5 + ADDRESSES)) + tags + \
        struct.pack("!H", ethertype) + bytes(body)
    if kind == 4:
        octets = octets[:r.randrange(14, len(octets) + 1)]
    elif kind in (5, 6):  # GSO and checksums, some of them right
        l4 = 14 + len(tags) + (40 if ethertype == 0x86dd else 20)
        octets += bytes(r.choice([0, 3000, 20000]))
        header = struct.pack("<BBHHHH", r.choice([0, 1, 1, 1, 2]), r.choice([0, 1, 1, 4, 5, 0x81]),
                             r.choice([l4 + 20, l4 + 8, 0, 60000]), r.choice([0, 1, 8, 1000, 1400]),
                             r.choice([l4, l4, l4, 0, 2000]), r.choice([16, 6, 16, 6, 500]))
    elif kind == 7:
        octets += bytes(r.choice([1400, 1500, 9000]))
    return header, octets


@pytest.mark.parametrize("driver", ["xdp", "packet"])
def test_malformed_frames(net, driver):
    """They reach neither the guests' pings nor the sums of the counters."""
    seed = 20260 + len(driver)
    print(f"seed {seed}")  # shown on failure
    r = random.Random(seed)
    guests = [Guest(net, 1, mode="vepa"), Guest(net, 2, mode="bridge")]
    s = Station(net, guests, switch="linux", start=False, driver=driver)
    s.config = s.config.replace("\n", "\nbridge set br0 snooping on\n", 1)
    s.start(s.config)
    assert s.evbd.port("up0")["driver"] == driver
    wire = Offloader(s.sw, "st0")
    pings = [g.ns.popen("ping", "-n", "-q", "-c", "10", "-i", "0.2", "10.0.0.100", stdout=-3)
             for g in guests]
    before = s.evbd.port("up0", stats=True)["stats64"]["rx"]["packets"]
    for _ in range(FRAMES):
        wire.send(*mutated(r))
    assert wire.sent > FRAMES / 3

    def came():
        return s.evbd.port("up0", stats=True)["stats64"]["rx"]["packets"] - before > wire.sent / 4
    wait_for("frames come in", came)
    assert [p.wait(30) for p in pings] == [0, 0]
    s.evbd.assert_conserved()
    drops = s.evbd.drops("up0")
    # What the kernel takes out or refuses before evbd sees it depends on the driver.
    own = "offload" if driver == "packet" else "runt"
    expected = {own, "mac_control", "vlan", "bad_source", "unknown_dst", "control"}
    assert expected <= {reason for reason, n in drops.items() if n > 0}, drops
    pairs = {(a, b) for a in s.hosts() for b in s.hosts() if a != b}
    assert ping_matrix(s.hosts(), pairs) == pairs
    assert s.evbd.process.poll() is None
