# SPDX-License-Identifier: Apache-2.0
"""Frames over AF_PACKET: made, sent and received octet by octet on devices in namespaces.

Frames of the tests carry a number in their last octets, so that a delivery can be told from any
other frame, and matched with what was sent.
"""
import collections
import errno
import socket
import struct
import time

from evblib import in_netns, wait_for

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4

MAGIC = b"evb-test"
TRAILER = struct.Struct("!8sQ")
TYPE_TEST = 0x88B5  # IEEE 802 local experimental EtherType 1
BROADCAST = "ff:ff:ff:ff:ff:ff"
C_TAG, S_TAG = 0x8100, 0x88A8


def mac_octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def frame(dst, src, number, size=64, ethertype=TYPE_TEST, tags=()):
    """An Ethernet frame of `size` octets (tags not counted) with `number` at its end.

    `tags`: (tpid, tci) from the outermost to the innermost.
    """
    head = mac_octets(dst) + mac_octets(src)
    head += b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in tags)
    fill = bytes((number + i) & 0xFF for i in range(size - 14 - TRAILER.size))
    return head + struct.pack("!H", ethertype) + fill + TRAILER.pack(MAGIC, number)


def number_of(octets):
    """The number of a frame of the tests, or None."""
    if len(octets) < 14 + TRAILER.size:
        return None
    magic, number = TRAILER.unpack(octets[-TRAILER.size:])
    return number if magic == MAGIC else None


def tag_of(octets):
    """(tpid, tci) of the outermost tag, or None."""
    tpid, tci = struct.unpack("!HH", octets[12:16])
    return (tpid, tci) if tpid in (C_TAG, S_TAG) else None


def without_tag(octets):
    return octets[:12] + octets[16:] if tag_of(octets) else octets


class RawPort:
    """A packet socket on a device of a namespace: sends, and sees what the device receives."""

    def __init__(self, ns, dev):
        with in_netns(ns.path):
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.name = f"{ns.short}/{dev}"
        self.s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.s.bind((dev, ETH_P_ALL))
        self.s.setblocking(False)

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, octets):
        for _ in range(2000):
            try:
                self.s.send(octets)
                return
            except OSError as e:
                if e.errno not in (errno.EAGAIN, errno.ENOBUFS):  # the device's queue is full
                    raise
                time.sleep(0.001)
        raise AssertionError(f"{self.name}: its queue stays full")

    def receive(self):
        """One frame with its tag where it was on the wire, or None if none waits."""
        try:
            octets, ancillary, _, _ = self.s.recvmsg(1 << 17, 64)
        except BlockingIOError:
            return None
        except OSError as e:
            if e.errno != errno.ENETDOWN:  # told once, when the device goes down
                raise
            return self.receive()
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & TP_STATUS_VLAN_VALID:
                    octets = octets[:12] + struct.pack("!HH", tpid or C_TAG, tci) + octets[12:]
        return octets

    def receive_all(self):
        got = []
        while (octets := self.receive()) is not None:
            got.append(octets)
        return got


def settle(ports, seconds=0.05):
    """Numbered frames that arrive on any of the ports until none came for `seconds`.

    Returns {port key: [octets]}.
    """
    got = collections.defaultdict(list)
    last = time.monotonic()
    while time.monotonic() - last < seconds:
        for key, port in ports.items():
            for octets in port.receive_all():
                if number_of(octets) is not None:
                    got[key].append(octets)
                    last = time.monotonic()
        time.sleep(0.002)
    return got


class Lab:
    """Raw ports around a daemon: sends frames into some, and says which came out of which.

    `ports` maps a key to a RawPort. The frames that are sent must all reach the daemon: it is
    asked by its counters whether it has dealt with them, so that nothing depends on time.
    """

    def __init__(self, evbd, ports):
        self.evbd, self.ports = evbd, ports
        self.number = 0

    def close(self):
        for p in self.ports.values():
            p.close()

    def received(self):
        return sum(p["stats64"]["rx"]["packets"] for p in self.evbd.ports().values())

    def dealt_with(self, n_received):
        came, went = self.evbd.balance()
        return came == went and self.received() >= n_received

    def send(self, frames):
        """Send [(key, dst, src, options of frame())]; returns {key: [(index, octets)]}."""
        settle(self.ports, 0.005)  # nothing of before
        base, before = self.number + 1, self.received()
        self.number += len(frames)
        for i, (key, dst, src, *more) in enumerate(frames):
            self.ports[key].send(frame(dst, src, base + i, **(more[0] if more else {})))
        wait_for(f"{self.evbd.name} has dealt with {len(frames)} frames",
                 lambda: self.dealt_with(before + len(frames)))
        got = settle(self.ports)
        assert all(number_of(o) >= base for octets in got.values() for o in octets), "late frames"
        return {key: [(number_of(o) - base, o) for o in octets] for key, octets in got.items()}

    def where(self, key, dst, src, **options):
        """Send one frame; the sorted keys of the ports that it came out of."""
        got = self.send([(key, dst, src, options)])
        return sorted(key for key, frames in got.items() for _ in frames)


def raw_station(net, *port_lines, mtu=1500, args=(), extra=""):
    """An edge relay with taps g1, g2, ... as the lines say, all in one silent namespace.

    A line is what follows `port add gN bridge br0`, without kind. Returns a Lab with the keys g1,
    g2, ... and wire.
    """
    st, wire, guests = net.ns("st", "wire", "guests")
    for ns in (st, wire, guests):
        ns.silence()
    net.veth(st, "up0", wire, "wire", mtu)
    st.ip("link set up0 arp off")
    wire.ip("link set wire arp off")
    config = "bridge add br0 uplink up0\n"
    names = [f"g{i}" for i in range(1, len(port_lines) + 1)]
    for name, line in zip(names, port_lines):
        config += f"port add {name} bridge br0 tap netns {guests.name} {line}\n"
    evbd = net.evbd(st, config + extra, name="station", args=args)
    guests.ip(*(f"link set {name} arp off" for name in names))
    for name in [*names, "up0"]:
        evbd.wait_port(name, "UP", "STANDBY")
    ports = {name: RawPort(guests, name) for name in names}
    ports["wire"] = RawPort(wire, "wire")
    return Lab(evbd, ports)


def raw_relay(net, *port_lines, options=""):
    """A learning relay with packet ports p1, p2, ...; what hangs on them has their names."""
    sw, hosts = net.ns("sw", "hosts")
    sw.silence()
    hosts.silence()
    config = f"bridge add sw0 type learning {options}\n"
    names = [f"p{i}" for i in range(1, len(port_lines) + 1)]
    for name, line in zip(names, port_lines):
        net.veth(sw, name, hosts, f"h{name}")
        sw.ip(f"link set {name} arp off")
        hosts.ip(f"link set h{name} arp off")
        config += f"port add {name} bridge sw0 packet {name} {line}\n"
    evbd = net.evbd(sw, config, name="adjacent")
    for name in names:
        evbd.wait_port(name, "UP")
    return Lab(evbd, {name: RawPort(hosts, f"h{name}") for name in names})
