# SPDX-License-Identifier: Apache-2.0
"""The place of lldpad for libvirt: <virtualport type='802.1Qbg'> as libvirt 9 speaks it, octet for
octet, from a client that asks as it does: requests, polls every 125 ms, and an event socket.
Lines 61 to 68 of the conformance checklist."""
import socket
import struct
import subprocess
import time

import pytest

from evblib import EVBD, Rpc, in_netns, wait_for

SETLINK, GETLINK, ERROR, DONE = 19, 18, 2, 3
PREASSOCIATE, ASSOCIATE, DISASSOCIATE = 0, 2, 3
INPROGRESS = 0x101
MAC = "52:54:00:00:00:77"


def attr(kind, payload):
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def attrs(octets):
    """{type: payload} of attributes; of several alike, a list under the type and None."""
    out = {}
    while len(octets) >= 4:
        size, kind = struct.unpack_from("=HH", octets)
        assert 4 <= size <= len(octets)
        out.setdefault(kind & 0x3fff, []).append(octets[4:size])
        octets = octets[size + (-size % 4):]
    return out


class Libvirt:
    """A client in the namespace of evbd."""

    def __init__(self, ns, path, dev):
        self.ns, self.dev = ns, dev
        self.path = path
        with in_netns(ns.path):
            self.index = socket.if_nametoindex(dev)
            self.events = self.open()
        self.seq = 0

    @property
    def peer(self):
        """Looked up for each request, as libvirt does."""
        text = self.path.read_text()
        assert text.endswith("\n") and len(text) <= 10  # libvirt's buffer
        return int(text)

    @staticmethod
    def open():
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        s.bind((0, 0))
        s.settimeout(2)
        return s

    def ask(self, kind, payload, me=None):
        """One request on a socket of its own; the answer's type and payload."""
        self.seq += 1
        with in_netns(self.ns.path):
            s = self.open()
        me = self.events.getsockname()[0] if me is None else me
        head = struct.pack("=IHHII", 16 + len(payload), kind, 5, self.seq, me)
        s.sendto(head + payload, (self.peer, 0))
        octets, sender = s.recvfrom(65536)
        s.close()
        size, kind, _flags, seq, pid = struct.unpack_from("=IHHII", octets)
        assert sender[0] == self.peer and (size, seq, pid) == (len(octets), self.seq, me)
        return kind, octets[16:]

    def request(self, what, instance, type_id=5, vlan=10, mac=MAC, name=None, cut=None,
                vf=True, me=None, index=None):
        """0 or -errno."""
        mac = bytes.fromhex(mac.replace(":", "")).ljust(32, b"\0")
        vsi = struct.pack("=B3sB3x", 1, type_id.to_bytes(3, "little"), 4)
        payload = struct.pack("=BxHiII", 0, 0, index or self.index, 0, 0)
        payload += attr(3, (name or self.dev).encode() + b"\0")
        if vf:
            payload += attr(22, attr(1, attr(1, struct.pack("=I", 0xffffffff) + mac) +
                                     attr(2, struct.pack("=III", 0xffffffff, vlan, 0))))
        payload += attr(24, attr(1, attr(3, vsi) + attr(4, instance) + attr(6, bytes([what]))))
        kind, answer = self.ask(SETLINK, payload[:cut], me)
        assert kind == ERROR and len(answer) == 20
        return struct.unpack_from("=i", answer)[0]

    def poll(self, instance):
        """The response, None while it is pending; fails as libvirt does if the VSI is not there."""
        kind, answer = self.ask(GETLINK, struct.pack("=BxHiII", 0, 0, self.index, 0, 0) +
                                attr(29, struct.pack("=I", 1)))
        assert kind == DONE
        for port in attrs(attrs(answer[16:])[24][0]).get(1, []):
            a = attrs(port)
            assert a[1][0] == b"\xff" * 4
            if a[4][0] == instance:
                return struct.unpack("=H", a[7][0])[0] if 7 in a else None
        raise LookupError("could not find vf/instanceId")

    def lists(self, instance):
        try:
            self.poll(instance)
        except LookupError:
            return False
        return True

    def associate(self, what, instance, **fields):
        """What libvirt makes of it: 0, or the number in its log; a number below 0: refused."""
        code = self.request(what, instance, **fields)
        if code:
            return code
        for _ in range(80):
            response = self.poll(instance)
            if response not in (None, INPROGRESS):
                return response & ~0x100 if response == 0x100 else response
            time.sleep(0.125)
        raise AssertionError("timed out")

    def event(self, mac=MAC):
        """The next event: the instance whose association is over."""
        octets, sender = self.events.recvfrom(65536)
        _size, kind, _flags, _seq, pid = struct.unpack_from("=IHHII", octets)
        assert sender[0] == pid == self.peer and kind == SETLINK
        a = attrs(octets[32:])
        assert a[3][0] == self.dev.encode() + b"\0"
        vf = attrs(attrs(a[22][0])[1][0])
        assert mac is None or vf[1][0][4:10] == bytes.fromhex(mac.replace(":", ""))
        port = attrs(attrs(a[24][0])[1][0])
        assert port[6][0][0] == DISASSOCIATE
        return port[4][0]


def uuid(n):
    return bytes(8) + n.to_bytes(8, "big")  # lldpad refuses such ones


class Bed:
    """A macvtap of libvirt on up0, of which evbd has the uplink; the bridge decides by types."""

    def __init__(self, net):
        self.st, self.sw = net.ns("st", "sw")
        net.veth(self.st, "up0", self.sw, "p1")
        for ns in (self.st, self.sw):
            ns.silence()
        self.file = net.dir / "lldpad.pid"
        self.bridge = net.evbd(self.sw, "bridge add sw0 type learning\nvsitype add 5 version 4 "
                               "manager 1 vlan 10,20 default-vlan 20\nport add p1 bridge sw0 "
                               "packet p1 trunk all evb auto evb-rka 17 vdp on\n", name="bridge")
        self.station = net.evbd(self.st, "bridge add br0 uplink up0\nport set up0 evb auto "
                                "evb-rka 17\n", name="station", args=("-L", self.file))
        wait_for("agreed", lambda: self.station.call("evb.show")[0]["peer"] and
                 self.bridge.call("evb.show")[0]["peer"])
        self.libvirt = Libvirt(self.st, self.file, "up0")

    def stands(self):
        return {v["instance"]: v for v in self.bridge.call("vsi.show")
                if v["state"] == "associated"}

    def guest(self, n):
        """The MAC address of a guest, which has a macvtap."""
        mac = f"52:54:00:00:01:{n:02x}"
        self.st.ip(f"link add link up0 name mvt{n} address {mac} type macvtap mode vepa")
        return mac

    def restart(self, how, meanwhile=lambda: None):
        getattr(self.station, how)()
        meanwhile()
        self.station.start()

    def kept(self):
        """How many VSIs there are in the file for the next evbd."""
        try:
            return (self.file.parent / "libvirt-vsis").stat().st_size // 64
        except FileNotFoundError:
            return 0

    def keep_alives(self):
        rows = self.station.json("vsi show", options=["-s"])
        return rows[0]["stats"]["vdp"].get("keep_alives", 0) if rows else 0


def text(instance):
    h = instance.hex()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def test_life(net):
    """Made, seen, ended; pre-associated first, as a guest that migrates in does; VID 0."""
    bed = Bed(net)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1)) == 0
    assert bed.stands()[text(uuid(1))]["filters"] == [f"{MAC}/10"]
    row, = bed.station.call("vsi.show")
    assert (row["ifname"], row["role"], row["state"]) == ("up0", "station", "associated")
    assert row["instance"] == text(uuid(1))
    # Two guests on one device, and a device's VSIs stay apart.
    assert bed.libvirt.associate(PREASSOCIATE, uuid(2), mac="52:54:00:00:00:78", vlan=0) == 0
    assert bed.stands().keys() == {text(uuid(1))}
    assert bed.libvirt.associate(ASSOCIATE, uuid(2), mac="52:54:00:00:00:78", vlan=0) == 0
    assert bed.stands()[text(uuid(2))]["filters"] == ["52:54:00:00:00:78/20"]
    # lldpad would not end one whose VID the bridge has chosen.
    assert bed.libvirt.associate(DISASSOCIATE, uuid(2), mac="52:54:00:00:00:78", vlan=0) == 0
    wait_for("ended", lambda: bed.stands().keys() == {text(uuid(1))})
    wait_for("it was reported, and is forgotten", lambda: not bed.libvirt.lists(uuid(2)))
    assert bed.libvirt.associate(DISASSOCIATE, uuid(1)) == 0
    wait_for("ended", lambda: not bed.stands())
    # What is not there is already as it is wanted.
    assert bed.libvirt.associate(DISASSOCIATE, uuid(1)) == 0


def test_refused(net):
    """The error of VDP reaches libvirt as a number, and nothing is left behind."""
    bed = Bed(net)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1), type_id=6) not in (0, None)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1), vlan=11) not in (0, None)
    assert not bed.stands()
    # Unlike lldpad's, it is not lost for all times.
    assert bed.libvirt.associate(ASSOCIATE, uuid(1)) == 0


def test_revoked(net):
    """libvirt hears of it unasked, each time, and asks again."""
    bed = Bed(net)
    for _ in range(2):
        assert bed.libvirt.associate(ASSOCIATE, uuid(1)) == 0
        bed.bridge.evb("vsitype set 5 version 4 manager 1 vlan 20 default-vlan 20")
        assert bed.libvirt.event() == uuid(1)
        assert not bed.stands()
        bed.bridge.evb("vsitype set 5 version 4 manager 1 vlan 10,20 default-vlan 20")
    assert bed.libvirt.request(ASSOCIATE, uuid(1)) == 0  # and does not poll
    wait_for("stands again", bed.stands)


def test_bridge_is_silent(net):
    """A keep-alive without answer ends what stood: libvirt, which does not poll, is told."""
    bed = Bed(net)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1)) == 0
    bed.libvirt.events.settimeout(30)  # reinitKeepAlive, respWaitDelay
    bed.bridge.kill()
    assert bed.libvirt.event() == uuid(1)
    # It asks again by itself, and does not poll: it is told again until the bridge is back.
    assert bed.libvirt.request(ASSOCIATE, uuid(1)) == 0
    assert bed.libvirt.event() == uuid(1)
    # A request is pending as long as libvirt would not mind, and then fails: checklist 63, 68.
    assert bed.libvirt.request(ASSOCIATE, uuid(2)) == 0
    assert bed.libvirt.poll(uuid(2)) is None
    assert bed.libvirt.associate(ASSOCIATE, uuid(3)) == 0x105


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_restart(net, how):
    """evbd killed, or ended for an upgrade: the bridge notices nothing, and libvirt need not."""
    bed = Bed(net)
    libvirt = bed.libvirt
    macs = {n: bed.guest(n) for n in (1, 2, 3, 4)}
    for n in (1, 2, 3):
        assert libvirt.associate(ASSOCIATE, uuid(n), mac=macs[n]) == 0
    assert libvirt.associate(PREASSOCIATE, uuid(4), mac=macs[4]) == 0
    assert libvirt.associate(ASSOCIATE, uuid(5)) == 0  # without a macvtap, as a container
    assert libvirt.associate(DISASSOCIATE, uuid(3), mac=macs[3]) == 0
    wait_for("four are kept", lambda: bed.kept() == 4)
    assert (net.dir / "libvirt-vsis").stat().st_mode & 0o777 == 0o600
    monitor = Rpc(bed.bridge.socket)
    monitor.call("monitor.subscribe", kinds=["vsi"])
    if how == "stop":  # what was asked for last is kept, too
        assert libvirt.request(ASSOCIATE, uuid(4), mac=macs[4]) == 0
    # Guest 2 ends meanwhile, and evbd is not there to hear of that.
    bed.restart(how, lambda: bed.st.ip("link del mvt2"))
    assert libvirt.event() == uuid(5)
    e = monitor.next_event()
    if e["instance"] == text(uuid(4)):  # it became more
        e = monitor.next_event()
    assert (e["instance"], e["to"]) == (text(uuid(2)), "none")
    state = "associated" if how == "stop" else "pre-associate"
    wait_for(state, lambda: text(uuid(4)) in {
        v["instance"] for v in bed.station.call("vsi.show") if v["state"] == state})
    wait_for("kept alive", lambda: bed.keep_alives() >= 6)
    assert bed.stands().keys() - {text(uuid(4))} == {text(uuid(1))}
    # The next request of libvirt finds everything as it was.
    assert libvirt.poll(uuid(1)) == 0
    assert libvirt.associate(ASSOCIATE, uuid(4), mac=macs[4]) == 0
    for n in (1, 4):
        assert libvirt.associate(DISASSOCIATE, uuid(n), mac=macs[n]) == 0
    wait_for("ended", lambda: not bed.stands())
    wait_for("nothing is kept", lambda: not bed.kept())


def test_kept_file_is_wrong(net):
    """It is refused as a whole, and evbd works without."""
    bed = Bed(net)
    mac = bed.guest(1)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1), mac=mac) == 0
    kept = net.dir / "libvirt-vsis"
    wait_for("kept", bed.kept)
    for damage, reason in ((lambda: kept.write_bytes(kept.read_bytes()[:-1]), "another size"),
                           (lambda: kept.chmod(0o622), "others may write"),
                           (lambda: (kept.unlink(), kept.symlink_to("/dev/zero")), "symbolic")):
        bed.restart("kill", damage)
        assert "not taken over" in bed.station.tail() and reason in bed.station.tail()
        assert not bed.station.call("vsi.show")
        assert bed.libvirt.associate(ASSOCIATE, uuid(1), mac=mac) == 0
        wait_for("kept again", lambda: kept.is_file() and bed.kept() == 1)


def test_uplink_made_anew(net):
    """What the uplink has lost is asked for again, before the bridge lets go of it."""
    bed = Bed(net)
    mac = bed.guest(1)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1), mac=mac) == 0
    assert bed.libvirt.associate(ASSOCIATE, uuid(2)) == 0  # without a macvtap
    monitor = Rpc(bed.bridge.socket)
    monitor.call("monitor.subscribe", kinds=["vsi"])
    for off, on in (("port set up0 evb off", "port set up0 evb auto"),
                    ("port del up0", "port add up0 bridge br0 packet up0 role uplink evb auto "
                     "evb-rka 17")):
        bed.station.evb(off)
        bed.station.evb(on)
        wait_for("known again", lambda: [v for v in bed.station.call("vsi.show")
                                         if v["state"] == "associated"], timeout=10)
    assert bed.libvirt.event() == uuid(2)
    wait_for("kept alive", lambda: bed.keep_alives() >= 3)
    assert monitor.next_event()["instance"] == text(uuid(2))  # which libvirt did not ask for again
    assert bed.stands().keys() == {text(uuid(1))} and not monitor.events
    # libvirt ends one while there is no uplink that could say so.
    bed.station.evb("port set up0 evb off")
    assert bed.libvirt.request(DISASSOCIATE, uuid(1), mac=mac) == 0
    assert bed.libvirt.poll(uuid(1)) == 0
    bed.station.evb("port set up0 evb auto")
    wait_for("the bridge has let go", lambda: not bed.stands())


def test_libvirt_is_gone(net):
    """Without libvirt to hear of ends: evbd asks again as long as the guest's macvtap is there."""
    bed = Bed(net)
    mac = bed.guest(1)
    assert bed.libvirt.associate(ASSOCIATE, uuid(1), mac=mac) == 0
    bed.libvirt.events.close()
    bed.bridge.evb("vsitype set 5 version 4 manager 1 vlan 20 default-vlan 20")
    wait_for("revoked", lambda: not bed.stands())
    bed.bridge.evb("vsitype set 5 version 4 manager 1 vlan 10,20 default-vlan 20")
    wait_for("asked for again", bed.stands)
    bed.st.ip("link del mvt1")
    wait_for("de-associated", lambda: not bed.stands())


def test_mistakes_of_others(net):
    """A second guest with the instance of the first, or of a port of ours, harms neither."""
    bed = Bed(net)
    other = "52:54:00:00:00:99"
    assert bed.libvirt.associate(ASSOCIATE, uuid(1)) == 0
    for what in (ASSOCIATE, DISASSOCIATE):
        assert bed.libvirt.request(what, uuid(1), mac=other) == -17
    assert bed.stands()[text(uuid(1))]["filters"] == [f"{MAC}/10"]
    assert bed.libvirt.poll(uuid(1)) == 0
    # One that names nobody to be told is asked for again all the same, and spoils no file.
    assert bed.libvirt.request(ASSOCIATE, uuid(3), mac=bed.guest(3), me=0) == 0
    wait_for("stands", lambda: text(uuid(3)) in bed.stands())
    wait_for("kept", lambda: bed.kept() == 2)
    bed.restart("kill")
    wait_for("known again", lambda: text(uuid(3)) in {
        v["instance"] for v in bed.station.call("vsi.show")})
    bed.station.evb("port add g1 bridge br0 tap name g1tap mac 52:54:00:00:00:50 vlan 10")
    bed.station.evb(f"vsi add g1 manager 1 type 5 version 4 instance {text(uuid(9))}")
    wait_for("stands", lambda: text(uuid(9)) in bed.stands())
    assert bed.libvirt.request(DISASSOCIATE, uuid(9)) == -17
    assert text(uuid(9)) in bed.stands()
    # An end that libvirt asks for while its last request is under way comes afterwards.
    assert bed.libvirt.request(ASSOCIATE, uuid(2)) == 0
    assert bed.libvirt.request(DISASSOCIATE, uuid(2)) == 0
    wait_for("ended", lambda: bed.libvirt.poll(uuid(2)) == 0)
    assert text(uuid(2)) not in bed.stands()


def test_many(net):
    """Of more than one answer has room for, those are told that were asked for last. And all are
    told of an end after a restart, though there are more than the socket has room for."""
    bed = Bed(net)
    for n in range(1, 401):
        mac = f"52:54:00:01:{n >> 8:02x}:{n & 255:02x}"
        assert bed.libvirt.request(ASSOCIATE, uuid(n), mac=mac) == 0
    wait_for("all stand", lambda: len(bed.stands()) == 400)
    assert bed.libvirt.associate(DISASSOCIATE, uuid(1), mac="52:54:00:01:00:01") == 0
    wait_for("ended", lambda: len(bed.stands()) == 399)
    wait_for("kept", lambda: bed.kept() == 399)
    bed.restart("kill")
    told = {bed.libvirt.event(mac=None) for _ in range(399)}
    assert told == {uuid(n) for n in range(2, 401)}


def test_nonsense(net):
    """What is wrong gets an error; nothing ends, and the next request is answered."""
    bed = Bed(net)
    libvirt = bed.libvirt
    assert libvirt.request(ASSOCIATE, uuid(1), name="lo") == -19  # no uplink of ours there
    for name in ("../up0", "up0\x1b[2J", "up 0"):
        assert libvirt.request(ASSOCIATE, uuid(1), name=name) == -22
    assert libvirt.request(9, uuid(1)) == -22
    assert libvirt.request(ASSOCIATE, uuid(1), index=-1) == -22
    assert libvirt.request(ASSOCIATE, uuid(1), vf=False) == -22  # neither MAC nor VLAN
    assert libvirt.request(ASSOCIATE, uuid(1), vlan=4095) == -22
    assert libvirt.request(ASSOCIATE, uuid(1)[:15]) == -22
    for cut in range(-4, -136, -4):
        assert libvirt.request(ASSOCIATE, uuid(1), cut=cut) in (-22, -19), cut
    assert libvirt.ask(16, bytes(20))[0] == ERROR
    assert libvirt.ask(GETLINK, b"")[0] == ERROR
    assert libvirt.associate(ASSOCIATE, uuid(1)) == 0
    # The uplink made anew knows nothing of it any more: that is said, and it can be asked for.
    bed.station.evb("port set up0 evb off")
    bed.station.evb("port set up0 evb auto")
    assert libvirt.poll(uuid(1)) == 0x105
    assert libvirt.associate(ASSOCIATE, uuid(1)) == 0


def test_file(net):
    """The file is there while evbd runs, and not taken from an lldpad that is alive."""
    bed = Bed(net)
    bed.station.stop()
    assert not bed.file.exists()
    lldpad = bed.st.popen("unshare", "-i", "lldpad", "-p", "-f", net.dir / "x.conf",
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("lldpad", lambda: open(f"/proc/{lldpad.pid}/comm").read() == "lldpad\n")
    bed.file.write_text(f"{lldpad.pid}\n")
    p = bed.st.run(EVBD, "-S", net.dir / "other.sock", "-L", bed.file, check=False)
    assert p.returncode == 1 and "stop lldpad first" in p.stderr
    assert bed.file.read_text() == f"{lldpad.pid}\n"

