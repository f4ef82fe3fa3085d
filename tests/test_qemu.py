# SPDX-License-Identifier: Apache-2.0
"""Real QEMU guests behind taps: they boot, talk in each mode, end, and come back.

Kernel, initramfs and console are those of the demo (demo/vm.py, scripts/vm-kernel).
"""
import pathlib

from evblib import Guest, Station
from qemu_vm import DemoLab, vm


def boot(lab, vm_dir, initramfs, number):
    guest = vm.VmGuest(lab, f"vm{number}", "st", f"10.0.0.{number}",
                       [(f"52:54:00:00:00:{number:02x}", f"vm{number}")])
    guest.boot(str(vm_dir), initramfs)
    return guest


def test_two_virtual_machines(net, vm_dir):
    """Two VMs and a container: by the wire in vepa mode, locally in bridge mode, not in private."""
    s = Station(net, [Guest(net, 1, mode="vepa")])
    for n in (11, 12):
        s.evbd.evb(f"port add vm{n} bridge br0 tap mac 52:54:00:00:00:{n:02x} mode vepa")
        p = s.evbd.wait_port(f"vm{n}", "DOWN")
        assert "VMM" in p["reason"]
    initramfs = str(pathlib.Path(net.dir, "initramfs"))
    lab = DemoLab(net)
    vm.make_initramfs(str(vm_dir), initramfs)
    guests = [boot(lab, vm_dir, initramfs, n) for n in (11, 12)]
    for g in guests:
        g.wait_ready()
        g.configure(f"{g.ip}/24")
        s.evbd.wait_port(g.name, "UP")
    a, b = guests

    def reaches(guest, ip):
        return guest.run(f"ping -c 2 -W 2 {ip}")[0] == 0

    wire = s.evbd.port("vm11", stats=True)["to_wire"]
    assert reaches(a, b.ip) and reaches(b, s.guests[0].ip4) and reaches(a, "10.0.0.100")
    assert s.evbd.port("vm11", stats=True)["to_wire"] > wire + 2

    for g in guests:
        s.evbd.evb(f"port set {g.name} mode bridge")
    before = s.evbd.port("vm11", stats=True)
    a.run("ip neigh flush all; true")
    assert reaches(a, b.ip)
    after = s.evbd.port("vm11", stats=True)
    assert after["stats64"]["rx"]["packets"] - before["stats64"]["rx"]["packets"] \
        >= after["to_wire"] - before["to_wire"] + 2
    b.start_iperf_server()
    code, out = a.run(f"iperf3 -c {b.ip} -t 2")
    assert code == 0, out
    assert s.evbd.port("vm12", stats=True)["stats64"]["tx"]["bytes"] > 1_000_000

    for g in guests:
        s.evbd.evb(f"port set {g.name} mode private")
    assert not reaches(a, b.ip)
    assert reaches(a, "10.0.0.100")

    b.process.kill()
    s.evbd.wait_port("vm12", "DOWN")
    assert reaches(a, "10.0.0.100")
    again = boot(lab, vm_dir, initramfs, 12)
    again.wait_ready()
    again.configure(f"{again.ip}/24")
    s.evbd.wait_port("vm12", "UP")
    assert reaches(again, "10.0.0.100")
