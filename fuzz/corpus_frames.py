# SPDX-License-Identifier: Apache-2.0
"""Frames as they come from the wire: inputs for the fuzzers of ports, LLDP, ECP, and IGMP."""
import struct


def lldp_inputs():
    def frame(*tlvs, ttl="0078", end="0000"):
        return bytes.fromhex("0180c2000000 525400000002 88cc 0207 04 525400000001"
                             "0407 03 525400000002 0602" + ttl + "".join(tlvs) + end)

    evb, evb_long = "fe09 0080c20d 02046eb434", "fe0b 0080c20d 02046eb434 0000"
    draft = "fe0d 001b3f00 40074007 0cdf0000 0f"
    cdcp = "fe0e 0080c20e 880000a7 001001 002000"
    texts = "0801 70 0a04 686f7374 0c03 657662 0e04 00840004 100c 05010a000001 0200000007 00"
    full = "ff fd 0080c20e 000000a7 001001".replace(" ", "") + "".join(
        f"{k:03x}{k + 100:03x}" for k in range(2, 168))
    return {
        "evb": frame(evb), "evb-long": frame(evb_long),
        "evb-short": frame("fe08 0080c20d 02046eb4"),
        "draft": frame(draft), "both": frame(evb, draft), "cdcp": frame(cdcp),
        "cdcp-full": frame(full), "texts": frame(texts, evb), "shutdown": frame(ttl="0000"),
        "padded": frame(evb) + bytes(20), "endless": frame(evb, end=""),
    }


def ecp_inputs():
    to, draft_to = "0180c2000000 92f96989865a 8940", "0180c200000e 92f96989865a 88b7"
    manager, ids = "0a10 626c61626c6100000000000000000000", "000005 04 05" + "1122" * 8
    draft_ids = "02 00 0b 000064 02" + "1122" * 8

    def request(*tlvs):
        return bytes.fromhex(to + "10010001" + manager + "".join(tlvs) + "0000")

    entries = {"vid": "061b 00" + ids + "01 0001 b064",
               "mac": "0621 00" + ids + "02 0001 520000112233 00c8",
               "group": "061f 00" + ids + "03 0001 00000007 0002",
               "group-mac": "0625 00" + ids + "04 0001 00000007 520000112233 0000",
               "none": "0819 00" + ids + "02 0000",
               "ipv4": "021b 00 000005 04 01" + "00" * 10 + "ffff0a000001 01 0001 0002",
               "id-mac": "041b 00 000005 04 03" + "00" * 10 + "520000112233 01 0001 0000"}
    draft = "fe26 001b3f02" + draft_ids + "02 0001 525400000100 0005"
    out = {k: request(v) for k, v in entries.items()}
    out |= {
        "all": request(*entries.values()), "org": request(entries["vid"], "fe05 00000cf1 01"),
        "ack": bytes.fromhex(to + "14010001"), "bad-vid": request("061b 00" + ids + "01 0001 0fff"),
        "draft": bytes.fromhex(draft_to + "001b3f 00 0000 00 0001" + draft + draft + "0000"),
        "draft-empty": bytes.fromhex(draft_to + "001b3f 00 0000 00 0001 0000"),
        "draft-ack": bytes.fromhex(draft_to + "001b3f 00 0000 01 0001") + bytes(40),
    }
    return out


def evb_link_inputs():
    ids = "000005 04 05" + "00" * 15 + "01"
    evb, assoc = "fe09 0080c20d", "%s 00" + ids + "02 0001 520000112233 %s"

    def vdp(tlvs):
        octets = bytes.fromhex(tlvs)
        return bytes([1, len(octets)]) + octets

    def lldp(tlvs):
        octets = bytes.fromhex(tlvs)
        return bytes([8, len(octets)]) + octets

    def ask(what, which, vid):
        return bytes([3, what, which]) + vid.to_bytes(2, "big")

    later, much_later, second = bytes([2, 7]), bytes([2, 23]), bytes([2, 16])
    station, bridge = lldp(evb + "03 05 6e 51 14"), lldp(evb + "02 04 6e b4 34")
    draft = "fe26 001b3f02 %s 00 00 000005 04" + "00" * 15 + "01 02 0001 520000112233 00c8"
    draft_evb = lldp("fe0d 001b3f00 40074007 0cdf0000 0f")
    return {
        "bridge": bytes([1]) + bridge + vdp(assoc % ("0621", "00c8")) + later + second * 3 +
        vdp(assoc % ("0821", "00c8")) + later,
        "bridge-fill": bytes([1]) + vdp(assoc % ("0221", "0000")) +
        vdp(assoc % ("0621", "0000")) + much_later + bytes([6, 1]),
        "bridge-silent": bytes([17]) + vdp(assoc % ("0621", "00c8")) + bytes([5, 0]) + later +
        vdp(assoc % ("0621", "00c9")) + much_later + vdp(assoc % ("0621", "00ca")) +
        bytes([5, 18]),
        "bridge-draft": bytes([5]) + draft_evb + vdp(draft % "02") + second + vdp(draft % "03"),
        "station": bytes([0]) + station + ask(3, 17, 200) + later +
        vdp(assoc % ("0621", "00c8")) + second + ask(4, 17, 0) + much_later,
        "station-cut": bytes([0]) + ask(1, 17, 0) + later + bytes([4, 0]) + second +
        bytes([4, 1]) + much_later,
        "station-draft": bytes([4]) + draft_evb + ask(3, 17, 200) + later + vdp(draft % "02") +
        second + ask(4, 17, 0) + much_later,
        "settings": bytes([9]) + b"".join(
            bytes([7, i]) + bridge + later for i in range(0, 256, 37)),
    }


# ---- igmp: igmp_fuzz.c ----

def heard(frame, port=0, seconds=0, how=0x78):
    return struct.pack("!BBH", how | port, seconds, len(frame)) + frame


def igmp(dst, payload, protocol=2):
    """Checksums are put right, or left to others, by the harness."""
    ip = struct.pack("!BBHHHBBH4s4s4s", 0x46, 0, 24 + len(payload), 1, 0, 1, protocol, 0,
                     bytes([10, 0, 0, 1]), bytes(dst), bytes([148, 4, 0, 0]))
    return bytes([1, 0, 0x5e, dst[1] & 0x7f, dst[2], dst[3], 2, 0, 0, 0, 0, 1, 8, 0]) + ip + payload


def mld(dst, payload, hop=True, protocol=58):
    options = bytes([protocol, 0, 5, 2, 0, 0, 1, 0]) if hop else b""
    ip = struct.pack("!IHBB16s16s", 6 << 28, len(options) + len(payload), 0 if hop else protocol,
                     1, bytes([0xfe, 0x80] + [0] * 13 + [1]), dst)
    return b"\x33\x33" + dst[12:] + bytes([2, 0, 0, 0, 0, 1, 0x86, 0xdd]) + ip + options + payload


def igmp_inputs():
    group, group6 = bytes([239, 1, 1, 1]), bytes([0xff, 0x0e] + [0] * 13 + [7])
    none, all_, all6 = bytes(4), [224, 0, 0, 1], bytes([0xff, 2] + [0] * 13 + [1])
    to_v3, to_v2_6 = [224, 0, 0, 22], bytes([0xff, 2] + [0] * 13 + [0x16])
    query = heard(igmp(all_, bytes([0x11, 100, 0, 0]) + none), 1)
    query3 = heard(igmp(all_, bytes([0x11, 0x8f, 0, 0]) + none + bytes([2, 0x8f, 0, 0])), 1)
    ask = heard(igmp(group, bytes([0x11, 10, 0, 0]) + group), 1, 1)
    join = heard(igmp(group, bytes([0x16, 0, 0, 0]) + group), 2)
    leave = heard(igmp([224, 0, 0, 2], bytes([0x17, 0, 0, 0]) + group), 2, 3)

    def records(kinds, g, n=0):
        return b"".join(bytes([k, 0, 0, n]) + g + g * n for k in kinds)
    v3 = heard(igmp(to_v3, struct.pack("!BBHHH", 0x22, 0, 0, 0, 6) +
                    records(range(1, 7), group, 1)), 3)
    leave3 = heard(igmp(to_v3, struct.pack("!BBHHH", 0x22, 0, 0, 0, 1) + records([3], group)), 3)
    query6 = heard(mld(all6, struct.pack("!BBHHH", 130, 0, 0, 10000, 0) + bytes(16)), 1)
    query6_2 = heard(mld(all6, struct.pack("!BBHHH", 130, 0, 0, 0x8fff, 0) + bytes(16) +
                         bytes([2, 0xff, 0, 0])), 1)
    join6 = heard(mld(group6, struct.pack("!BBHHH", 131, 0, 0, 0, 0) + group6), 4)
    report6 = heard(mld(to_v2_6, struct.pack("!BBHHH", 143, 0, 0, 0, 6) +
                        records(range(1, 7), group6, 1)), 5)
    hello = heard(igmp([224, 0, 0, 13], bytes([0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105]), 103), 6)
    hello6 = heard(mld(bytes([0xff, 2] + [0] * 13 + [13]), bytes([0x20, 0, 0, 0]), False, 103), 6)
    return {"v2": query + join + ask + leave, "v3": query3 + v3 + leave3,
            "mld": query6 + join6 + query6_2 + report6, "pim": hello + hello6,
            "all": query + query6 + join + join6 + v3 + report6 + hello + leave + leave3}


# ---- wire: wire_fuzz.c ----

def wire_inputs():
    ring, queue, cut, error = 16, 32, 8, 4

    def record(octets, how=0, zeros=0, vnet=None, aux=None):
        parts = [struct.pack("<BHH", how | (vnet is not None) | (aux is not None) << 1,
                             len(octets), zeros)]
        parts += [struct.pack("<BBHHHH", *vnet)] if vnet is not None else []
        parts += [struct.pack("<HHH", *aux)] if aux is not None else []
        return b"".join(parts) + octets

    def ether(to, kind="0800", tags="", source=50):
        dst = {"all": b"\xff" * 6, "group": bytes.fromhex("01005e010101"),
               "lldp": bytes.fromhex("0180c2000000")}.get(to) or bytes([2, 0, 0, 0, 0, to])
        return dst + bytes([2, 0, 0, 0, 0, source]) + bytes.fromhex(tags + kind)

    def ip(payload, protocol=6, size=None):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload) if size is None else size,
                           1, 0x4000, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2") + payload

    tcp = bytes.fromhex("04d201bb0000000100000002501001f500000000")
    udp = bytes.fromhex("04d201bb00280000")
    tso, uso = (1, 1, 54, 1448, 34, 16), (1, 5, 42, 1000, 34, 6)
    valid = 0x10 | 0x40  # a tag, and its EtherType
    ctag, stag = (valid, 10, 0x8100), (valid, 77, 0x88a8)
    frames = b""
    for to in ("all", "group", 4, 5, 6, 8, 9, 77):
        frames += record(ether(to) + ip(tcp + bytes(40)), ring)
        frames += record(ether(to) + ip(udp + bytes(32), 17), ring | queue, 10)
        frames += record(ether(to, tags="8100000a") + ip(tcp + bytes(40)))
        frames += record(ether(to, tags="88a8004d8100000a") + ip(tcp, size=9999), ring)
    offloads = b"".join(record(ether(to) + ip(head, protocol), 0, 9000, vnet, aux)
                        for to in ("all", 5, 6) for aux in (None, ctag, stag)
                        for head, protocol, vnet in ((tcp, 6, tso), (udp, 17, uso)))
    stream = b"".join(record(ether(to) + ip(struct.pack("!HHIIHHHH", 1, 2, 1 + 1000 * i, 2, 0x5010,
                                                        500, 0, 0) + bytes(1000)), ring)
                      for to in (5, 6) for i in range(6))
    bad = b"".join(record(octets, how, zeros) for how in (0, ring, cut, error, error | cut)
                   for octets, zeros in ((b"", 0), (ether(5)[:13], 0), (ether(5), 0),
                                         (b"\0" * 14, 0), (ether(5), 1501),
                                         (ether("all", "8808"), 46),
                                         (ether("all", "88a8", "81000001") + b"\0", 0)))
    bad += record(ether(5), 0, 65535, tso) + record(ether(5) + bytes(200), 0, 65535)
    control = b"".join(record(f, how) for f in lldp_inputs().values() for how in (0, ring))
    heard = b"".join(record(igmp([239, 1, 1, 1], bytes([0x16, 0, 0, 0, 239, 1, 1, 1])), how)
                     for how in (0, ring))
    kinds = {"frames": frames, "offloads": offloads, "stream": stream, "bad": bad,
             "control": control + heard}
    out = {f"{name}-{wire}": struct.pack("<H", wire | bits) + octets
           for name, octets in kinds.items()
           for wire, bits in ((0, 0), (1, 0x44), (3, 0x180))}
    for bits in (0x08, 0x10, 0x20, 0x124, 0x200, 0x203, 0x408, 0x40b):
        out[f"frames-{bits:x}"] = struct.pack("<H", bits) + frames
        out[f"offloads-{bits:x}"] = struct.pack("<H", bits) + offloads
    return out
