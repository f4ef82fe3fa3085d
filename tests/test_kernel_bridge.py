# SPDX-License-Identifier: Apache-2.0
"""A Linux bridge as the adjacent bridge: evbd speaks EVB for its ports, and the kernel forwards."""
import json

import pytest

from evblib import Guest, Refused, wait_for


class Bed:
    """guests ── evbd in st ── up0 ═══ p0 ── Linux bridge in sw, for which another evbd speaks."""

    def __init__(self, net, evb="auto"):
        self.st, self.sw = net.ns("st", "sw")
        net.veth(self.st, "up0", self.sw, "p0")
        self.sw.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up",
                   "link set p0 master br0")
        self.guests = [Guest(net, n, mode="vepa") for n in (1, 2)]
        self.bridge = net.evbd(self.sw, "bridge add kb0 type kernel\n"
                               "port add p0 bridge kb0 packet p0 evb auto reflective-relay on\n",
                               name="bridge")
        self.station = net.evbd(self.st, f"bridge add br0 uplink up0\nport set up0 evb {evb}\n" +
                                "".join(g.line() + "\n" for g in self.guests), name="station")
        for g in self.guests:
            g.addresses()

    def hairpin(self):
        out = self.sw.run("bridge", "-j", "-d", "link", "show", "dev", "p0").stdout
        return json.loads(out)[0]["hairpin"]

    def reach(self):
        a, b = self.guests
        return a.ns.run("ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", b.ip4,
                        check=False).returncode == 0


def test_negotiated(net):
    """Guests reach each other by the Linux bridge from when the station asks until it is gone."""
    bed = Bed(net)
    wait_for("hairpin on", bed.hairpin)
    wait_for("reflection known", lambda: bed.station.call("bridge.show")[0]["reflection"] == "on")
    assert bed.reach()
    # Nothing but control frames comes up: what guests say is the kernel's to forward.
    port = bed.bridge.port("p0", stats=True)
    assert port["stats64"]["rx"]["packets"] == port["punted"] > 0
    assert bed.bridge.call("bridge.show")[0]["type"] == "kernel"
    bed.station.evb("port set up0 evb off")
    wait_for("hairpin off", lambda: not bed.hairpin())
    assert not bed.reach()
    bed.station.evb("port set up0 evb auto")
    wait_for("hairpin on", bed.hairpin)
    bed.bridge.evb("port set p0 reflective-relay off")
    wait_for("hairpin off", lambda: not bed.hairpin())
    wait_for("off is known", lambda: bed.station.call("bridge.show")[0]["reflection"] == "off")


@pytest.mark.parametrize("how", ["stop", "kill", "del"])
def test_left_as_found(net, how):
    """However evbd goes, the bridge is as it was before."""
    bed = Bed(net)
    wait_for("hairpin on", bed.hairpin)
    if how == "del":
        bed.bridge.evb("port del p0")
    elif how == "kill":
        bed.bridge.kill()
    else:
        bed.bridge.stop()
    wait_for("hairpin off", lambda: not bed.hairpin())


def test_hairpin_of_others(net):
    """What somebody else has turned on stays on."""
    bed = Bed(net, evb="off")
    bed.sw.run("bridge", "link", "set", "dev", "p0", "hairpin", "on")
    bed.station.evb("port set up0 evb auto")
    wait_for("asked", lambda: bed.bridge.call("evb.show")[0]["reflection"] == "on")
    wait_for("known", lambda: bed.station.call("bridge.show")[0]["reflection"] == "on")
    assert "reason" not in bed.bridge.port("p0")
    bed.station.evb("port set up0 evb off")
    wait_for("no longer", lambda: bed.bridge.call("evb.show")[0]["reflection"] == "off")
    assert bed.hairpin()


def test_no_bridge(net):
    """A device that is in no Linux bridge: it says so, and does not pretend to reflect."""
    bed = Bed(net, evb="off")
    bed.sw.ip("link set p0 nomaster")
    wait_for("reason", lambda: "no port of a Linux bridge" in bed.bridge.port("p0").get("reason",
                                                                                      ""))
    bed.station.evb("port set up0 evb auto")
    wait_for("peer", lambda: bed.bridge.call("evb.show")[0]["peer"])
    assert bed.bridge.call("evb.show")[0]["reflection"] == "off"
    assert "does not yet" in bed.bridge.evb("evb show").stdout
    for _ in range(2):  # it joins, later, and again
        bed.sw.ip("link set p0 master br0")
        wait_for("hairpin on", bed.hairpin)
        wait_for("that is said", lambda: bed.bridge.call("evb.show")[0]["reflection"] == "on")
        bed.sw.ip("link set p0 nomaster")
        wait_for("no more", lambda: bed.bridge.call("evb.show")[0]["reflection"] == "off")
        wait_for("and the station knows", lambda: bed.station.call(
            "bridge.show")[0]["reflection"] == "off")
    bed.sw.ip("link set p0 master br0")
    wait_for("hairpin on", bed.hairpin)
    bed.bridge.kill()  # the guard, too, knows of the last time
    wait_for("hairpin off", lambda: not bed.hairpin())
    bed.bridge = net.evbd(bed.sw, "bridge add kb0 type kernel\nport add p0 bridge kb0 packet p0\n",
                          name="again")
    with pytest.raises(Refused, match="ports of kind packet only"):
        bed.bridge.call("port.add", ifname="x", bridge="kb0", kind="memory")
    with pytest.raises(Refused, match="are the kernel's"):
        bed.bridge.call("port.set", ifname="p0", vlan=7)
    assert "type kernel" in bed.bridge.evb("config show").stdout
