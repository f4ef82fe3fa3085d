# SPDX-License-Identifier: Apache-2.0
"""The kernel's way to the same end, to measure against: macvlan (for VMs macvtap) on the station,
a Linux bridge with hairpin as the adjacent bridge, the same firewall in between."""
import os

import vm
from guests import NetnsGuest
from topology import MACS, EvbSite, Net

HAIRPIN = """
ip link add sw0 type bridge
ip link set down0 master sw0
ip link set out0 master sw0
bridge link set dev down0 hairpin on
ip link set sw0 up
"""
PEER_MACS = {"g1": "52:54:00:00:01:01", "g2": "52:54:00:00:01:02"}


class _KernelSite:
    """What both kinds share; the mode is set on `devices`, (namespace, device) pairs."""

    kind = note = ""

    def __init__(self, lab):
        self.lab = lab
        self.net = Net(lab, "k")
        self.outside = self.net.outside
        lab.run(self.net.adjacent, HAIRPIN)
        self.devices = []

    def set_mode(self, mode):
        for ns, dev in self.devices:
            self.lab.run(ns, f"ip link set {dev} type {self.kind} mode {mode}")


class MacvlanSite(_KernelSite):
    """Containers on macvlan devices."""

    kind = "macvlan"

    def __init__(self, lab):
        super().__init__(lab)
        for i, (name, mac) in enumerate(PEER_MACS.items(), 1):
            ns = lab.ns("k" + name)
            lab.run(self.net.station, f"ip link add link up0 name {name} address {mac} "
                                      f"type macvlan mode vepa")
            lab.run(self.net.station, f"ip link set {name} netns {ns} name eth0")
            self.devices.append((ns, "eth0"))
            guest = NetnsGuest(lab, name, ns, f"10.0.0.{i}")
            guest.configure(f"10.0.0.{i}/24")
            setattr(self, name, guest)


class _SecondNic:
    """A VM seen through its second NIC: the same guest, another address."""

    def __init__(self, guest, ip):
        self.guest, self.ip = guest, ip

    def iperf(self, ip, seconds):
        return self.guest.iperf(ip, seconds)

    def start_iperf_server(self):
        """The guest's own server listens on every address."""


class MacvtapSite(_KernelSite):
    """Queues for the VMs' second NICs, on macvtap devices."""

    kind = "macvtap"
    note = "\n(emulated guests, whose own processor is the limit)"

    def __init__(self, lab):
        super().__init__(lab)
        self.outside.ip = "10.0.1.9"
        lab.run(self.outside.ns, "ip addr flush dev eth0; ip addr add 10.0.1.9/24 dev eth0")
        self.queues = {}
        for name, mac in PEER_MACS.items():
            lab.run(self.net.station, f"ip link add link up0 name {name} address {mac} "
                                      f"type macvtap mode vepa; ip link set {name} up")
            self.devices.append((self.net.station, name))
            self.queues[name] = vm.open_macvtap(lab, self.net.station, name)


def build_vms(lab, opts):
    """Two VMs, with eth0 on evb's taps and eth1 on macvtap: (EvbSite, MacvtapSite)."""
    vm_dir = os.path.join(opts.build, "vm")
    initramfs = os.path.join(lab.dir, "initramfs")
    vm.make_initramfs(vm_dir, initramfs)
    site, peer = EvbSite(lab, opts.build), MacvtapSite(lab)
    site.add_taps()
    for i, name in enumerate(MACS, 1):
        guest = vm.VmGuest(lab, name, site.net.station, f"10.0.0.{i}",
                           [(MACS[name], name), (PEER_MACS[name], peer.queues[name])])
        guest.boot(vm_dir, initramfs, opts.accel)
        setattr(site, name, guest)
    print("\nbooting two virtual machines", flush=True)
    for i, name in enumerate(MACS, 1):
        guest = getattr(site, name)
        guest.wait_ready()
        guest.configure(f"10.0.0.{i}/24", f"10.0.1.{i}/24")
        setattr(peer, name, _SecondNic(guest, f"10.0.1.{i}"))
    return site, peer
