# SPDX-License-Identifier: Apache-2.0
"""Two predictions of where a frame goes: by kernel macvlan, and by docs/forwarding.md.

Both are written down from their description (drivers/net/macvlan.c: macvlan_queue_xmit,
macvlan_handle_frame; docs/forwarding.md), independently of evbd. ours() also names the row that
decided; EXCEPTIONS are the rows in which we differ from the kernel on purpose.

A destination is the index of a port, or WIRE.
"""
import collections
import dataclasses

WIRE = "wire"
PAUSE = 0x8808
VLAN = 1  # that of all ports and of untagged frames

# Row of ours() -> what the kernel does instead. The test checks the kernel too, frame by frame.
EXCEPTIONS = {
    "mac_control": "kernel forwards PAUSE: unicast like any other, a group never to local ports",
    "reserved": "kernel forwards 01-80-C2-00-00-0x from a guest like any other multicast",
    "control": "kernel gives 01-80-C2-00-00-0x from the wire to all ports, as any multicast",
    "vlan": "kernel has no VLAN policy: any tag passes, look-up is by MAC only",
    "bad_source": "kernel never looks at the source: zero and group sources pass",
    "spoof": "kernel never compares the source with the port's own address",
    "self": "kernel loops a bridge-mode port's frame to itself back to it",
    "returned": "kernel delivers a reflected unicast to its own sender",
    "private": "kernel delivers reflected unicast to and from private ports",
    "looped": "kernel delivers a reflected unicast between two bridge-mode ports once more",
    "private_group": "kernel gives a private port's reflected broadcast back to it",
    "source_group": "kernel gives a source-mode port's reflected broadcast back to it, only",
    "listed_local": "kernel applies source lists to locally switched unicast too (nodst eats it)",
    "listed_returned": "kernel gives a listed frame also to the port that sent it",
    "promisc": "kernel has no copies for a promiscuous port of unicast nobody owns",
}


@dataclasses.dataclass
class Port:
    mac: str
    mode: str
    listed: frozenset = frozenset()
    nodst: bool = False
    promisc: bool = False
    guard: bool = True


@dataclasses.dataclass(frozen=True)
class Frame:
    origin: object  # index of a port, or WIRE
    dst: str
    src: str
    ethertype: int
    tag: object  # None or (tpid, tci)


def is_group(mac):
    return int(mac[:2], 16) & 1


def is_reserved(mac):
    return mac.startswith("01:80:c2:00:00:0")


def owner(ports, mac):
    """Index of the port that has the address; addresses are unique among ports."""
    return next((i for i, p in enumerate(ports) if p.mac == mac), None)


def passthru(ports):
    return len(ports) == 1 and ports[0].mode == "passthru"


def ports_in(ports, *modes):
    return {i for i, p in enumerate(ports) if p.mode in modes}


def lists(ports, mac):
    """Source-mode ports that list the address, and whether one of them has nodst."""
    those = {i for i in ports_in(ports, "source") if mac in ports[i].listed}
    return those, any(ports[i].nodst for i in those)


# --- the kernel -----------------------------------------------------------------------------


def kernel(ports, f):
    """Deliveries by kernel macvlan: a Counter of destinations."""
    if f.origin == WIRE:
        return kernel_handle_frame(ports, f)
    p = ports[f.origin]
    if p.mode == "bridge" and is_group(f.dst):
        return collections.Counter(kernel_broadcast(ports, f, f.origin, "bridge")) + \
            collections.Counter([WIRE])
    if p.mode == "bridge":
        dest = owner(ports, f.dst)
        if dest is not None and ports[dest].mode == "bridge":
            return kernel_handle_frame(ports, f)  # dev_forward_skb: as if it came by the wire
    return collections.Counter([WIRE])


def kernel_broadcast(ports, f, src, *modes):
    if f.ethertype == PAUSE and not f.tag:
        return set()
    return ports_in(ports, *modes) - {src}


def kernel_handle_frame(ports, f):
    got, eaten = lists(ports, f.src)  # macvlan_forward_source
    got = collections.Counter(got)
    if eaten:
        return got
    if is_group(f.dst):
        src = owner(ports, f.src)
        mode = ports[src].mode if src is not None else None
        if mode is None:
            got.update(kernel_broadcast(ports, f, None, "private", "vepa", "passthru", "bridge"))
        elif mode == "vepa":
            got.update(kernel_broadcast(ports, f, src, "vepa", "bridge"))
        elif mode == "bridge":
            got.update(kernel_broadcast(ports, f, src, "vepa"))
        else:
            got[src] += 1
        return got
    dest = 0 if passthru(ports) else owner(ports, f.dst)
    if dest is not None and ports[dest].mode != "source":
        got[dest] += 1
    return got


# --- docs/forwarding.md ---------------------------------------------------------------------


def ours(ports, f):
    """(set of destinations, row that decided) by the forwarding rules."""
    if f.ethertype == PAUSE and not f.tag:
        return set(), "mac_control"
    return ours_from_wire(ports, f) if f.origin == WIRE else ours_from_station(ports, f)


def bad_source(f):
    return is_group(f.src) or f.src == "00:00:00:00:00:00"


def ours_from_station(ports, f):
    p = ports[f.origin]
    if p.mode == "passthru":
        return (set(), "bad_source") if bad_source(f) else ({WIRE}, "wire")
    if is_reserved(f.dst):
        return set(), "reserved"
    if f.tag and (f.tag[0] != 0x8100 or f.tag[1] & 0xFFF):
        return set(), "vlan"
    if bad_source(f):
        return set(), "bad_source"
    if p.guard and f.src != p.mac:
        return set(), "spoof"
    if p.mode != "bridge":
        return {WIRE}, "wire"
    if is_group(f.dst):
        return ports_in(ports, "bridge") - {f.origin} | {WIRE}, "flood"
    dest = owner(ports, f.dst)
    if dest == f.origin:
        return set(), "self"
    if dest is not None and ports[dest].mode == "bridge":
        # The row is named for the case in which the kernel's source lists join in.
        return {dest}, "listed_local" if lists(ports, f.src)[0] else "local"
    return {WIRE}, "wire"


def ours_from_wire(ports, f):
    if passthru(ports) and not is_reserved(f.dst):
        return (set(), "bad_source") if bad_source(f) else ({0}, "passthru")
    if is_reserved(f.dst):
        return ({0}, "passthru") if passthru(ports) else (set(), "control")
    if bad_source(f):
        return set(), "bad_source"
    if f.tag and (f.tag[0] != 0x8100 or f.tag[1] & 0xFFF not in (0, VLAN)):
        return set(), "vlan"
    src = owner(ports, f.src)
    those, eaten = lists(ports, f.src)
    row = "listed"
    goes = set()
    if not eaten:
        goes, row = ours_group(ports, src) if is_group(f.dst) else ours_unicast(ports, src, f)
        if those and row in ("deliver", "unknown"):
            row = "listed"
    if src in those:
        row = "listed_returned"
    return (goes | those) - {src}, row


def ours_unicast(ports, src, f):
    dest = owner(ports, f.dst)
    if dest is None:
        promisc = {i for i, p in enumerate(ports) if p.promisc} - {src}
        return promisc, "promisc" if promisc else "unknown"
    if src == dest:
        return set(), "returned"
    if src is not None and "private" in (ports[src].mode, ports[dest].mode):
        return set(), "private"
    if src is not None and ports[src].mode == ports[dest].mode == "bridge":
        return set(), "looped"
    if ports[dest].mode == "source":
        return set(), "source_filter"
    return {dest}, "deliver"


def ours_group(ports, src):
    mode = ports[src].mode if src is not None else None
    if mode is None:
        return ports_in(ports, "private", "vepa", "bridge"), "deliver"
    if mode == "vepa":
        return ports_in(ports, "vepa", "bridge") - {src}, "deliver"
    if mode == "bridge":
        return ports_in(ports, "vepa"), "deliver"
    if mode == "private":
        return set(), "private_group"
    return ports_in(ports, "vepa", "bridge") - {src}, "source_group"
