# SPDX-License-Identifier: Apache-2.0
"""The demo's networks: station, wire, in-line firewall, adjacent bridge, outside host.

Net is the cabling with the firewall, the same for evb and for its kernel peer; EvbSite puts evbd at
both of its ends and attaches the guests.
"""
import json
import os
import re
import time

from guests import NetnsGuest

# An in-line appliance sees a reflected frame twice: its bridge must not learn from it.
FIREWALL = """
ip link add br0 type bridge
for port in up0 down0; do
    ip link set $port master br0
    bridge link set dev $port learning off flood on
done
ip link set br0 up
nft -f - <<RULES
table bridge wire {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ether type ip tcp dport 23 counter drop
    }
}
RULES
"""
MACS = {"g1": "52:54:00:00:00:01", "g2": "52:54:00:00:00:02"}


class Net:
    """station (up0) -- (up0) firewall (down0) -- (down0) adjacent (out0) -- (eth0) outside."""

    def __init__(self, lab, tag):
        self.lab = lab
        self.station = lab.ns(tag + "station")
        self.firewall = lab.ns(tag + "firewall")
        self.adjacent = lab.ns(tag + "adjacent")
        outside = lab.ns(tag + "outside")
        lab.veth(self.station, "up0", self.firewall, "up0")
        lab.veth(self.firewall, "down0", self.adjacent, "down0")
        lab.veth(self.adjacent, "out0", outside, "eth0")
        lab.run(self.firewall, FIREWALL)
        self.outside = NetnsGuest(lab, "outside", outside, "10.0.0.9")
        self.outside.configure("10.0.0.9/24")

    def firewall_drops(self):
        _, out = self.lab.run(self.firewall, "nft list table bridge wire")
        match = re.search(r"counter packets (\d+)", out)
        return int(match.group(1)) if match else 0


class EvbSite:
    """evbd at the station and as the adjacent bridge."""

    def __init__(self, lab, build):
        self.lab = lab
        self.evbd = os.path.abspath(os.path.join(build, "src/daemon/evbd"))
        self.evb_path = os.path.abspath(os.path.join(build, "src/cli/evb"))
        for program in (self.evbd, self.evb_path):
            if not os.access(program, os.X_OK):
                raise SystemExit(f"evb demo: there is no {program}; run make first")
        self.net = Net(lab, "")
        self.outside = self.net.outside
        self.g1 = self.g2 = None
        self.daemons = [
            self._start(self.net.adjacent, "adjacent", "bridge add sw0 type learning\n"
                        "port add down0 bridge sw0 packet down0 evb auto reflective-relay on\n"
                        "port add out0 bridge sw0 packet out0\n"),
            self._start(self.net.station, "station", "bridge add br0 uplink up0\n"
                        "port set up0 evb auto\n")]

    def _socket(self, name):
        return os.path.join(self.lab.dir, name + ".sock")

    def _start(self, ns, name, config):
        path = os.path.join(self.lab.dir, name + ".conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(config)
        log_path = os.path.join(self.lab.dir, name + ".log")
        with open(log_path, "w", encoding="ascii") as log:
            process = self.lab.spawn(ns, self.evbd, "-S", self._socket(name), "-c", path,
                                     stdout=log, stderr=log)
        end = time.monotonic() + 10
        while True:
            code, _ = self.lab.run(ns, f"{self.evb_path} -S {self._socket(name)} daemon show",
                                   check=False)
            if code == 0:
                return process
            if process.poll() is not None or time.monotonic() > end:
                with open(log_path, encoding="utf-8") as log:
                    raise SystemExit(f"evb demo: evbd of the {name} does not answer:\n{log.read()}")
            time.sleep(0.05)

    def stop_daemons(self):
        """End the daemons; how many of them did not end with exit code 0."""
        return sum(self.lab.stop(process) != 0 for process in self.daemons)

    def evb(self, *words, at="station"):
        """A command to the evbd of the station, or of the adjacent bridge; its output."""
        command = f"{self.evb_path} -S {self._socket(at)} {' '.join(words)}"
        return self.lab.run(getattr(self.net, at), command)[1]

    def evb_json(self, *words):
        return json.loads(self.evb("-j", *words))

    def set_mode(self, mode):
        for guest in ("g1", "g2"):
            self.evb("port", "set", guest, "mode", mode)
        self.wait_reflection("on" if mode == "vepa" else "off")

    def wait_reflection(self, wanted):
        """Does the adjacent bridge reflect, or not, as the station asks? It has 10 s for that."""
        end = time.monotonic() + 10
        while (now := self.evb_json("bridge", "show")[0]["reflection"]) != wanted:
            if time.monotonic() > end:
                return now
            time.sleep(0.02)
        return now

    def drops(self, reason):
        """How many frames the station dropped for that reason, on all its ports."""
        return sum(d["n"] for port in self.evb_json("drops", "show") for d in port["drops"]
                   if d["reason"] == reason)

    def add_containers(self):
        for i, (name, mac) in enumerate(MACS.items(), 1):
            ns = self.lab.ns(name)
            self.evb("port", "add", name, "bridge br0 tap netns", ns, "name eth0 mac", mac,
                     "mode vepa")
            guest = NetnsGuest(self.lab, name, ns, f"10.0.0.{i}")
            guest.configure(f"10.0.0.{i}/24")
            setattr(self, name, guest)

    def add_taps(self):
        """Taps for VMs, which QEMU opens by name."""
        for name, mac in MACS.items():
            self.evb("port", "add", name, "bridge br0 tap mac", mac, "mode vepa")

    def tap_of(self, name):
        """Namespace and device on which one sees what a guest gets."""
        guest = getattr(self, name)
        return (guest.ns, "eth0") if isinstance(guest, NetnsGuest) else (self.net.station, name)
