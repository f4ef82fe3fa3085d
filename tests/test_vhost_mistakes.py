# SPDX-License-Identifier: Apache-2.0
"""Mistakes that people make with QEMU and vhost-user ports: `evb port show` names the fix.

And the fix helps. What wrong programs and users meet at the socket is in test_vhost_user_daemon.py.
"""
import os
import pwd
import subprocess

import pytest

from evblib import wait_for
from qemu_vm import Nic, VhostVm, shared_memory

MAC = "52:54:00:00:00:{:02x}"


@pytest.fixture
def d(net):
    daemon = net.evbd(net.ns("st"), "bridge add br0\n")
    daemon.folder = net.dir / "sockets"
    daemon.folder.mkdir(mode=0o755)
    os.chmod(net.dir, 0o755)
    return daemon


def add(d, number, words="", **nic):
    """A port, and the NIC that belongs to it."""
    path, mac = d.folder / f"v{number}", MAC.format(number)
    d.evb(f"port add v{number} bridge br0 vhost-user {path} mac {mac} mode bridge {words}")
    return Nic(mac, path, **nic)


def said(d, number, *states):
    """What port show prints of the port, on one line, once it is in one of these states."""
    d.wait_port(f"v{number}", *states)
    return " ".join(d.evb(f"port show v{number}").stdout.split())


def test_memory_is_not_shared(net, d, vm_dir, initramfs):
    """Without a memory backend the port is faulty; the next VM, with one, works by that port."""
    nic = add(d, 1)
    wrong = VhostVm(net, d.ns, "wrong", 1, [nic], memory=["-m", "192"])
    wrong.boot(vm_dir, initramfs).wait_ready()
    text = said(d, 1, "FAULTY")
    assert "guest memory is not shared" in text
    assert "memory-backend-memfd" in text and "share=on" in text and "memory-backend=m0" in text
    wrong.end()
    said(d, 1, "DOWN")
    right = VhostVm(net, d.ns, "right", 1, [nic])
    right.boot(vm_dir, initramfs).wait_ready()
    right.must("ip link set eth0 up")
    assert "guest memory" not in said(d, 1, "UP")


def test_memory_is_private(net, d, vm_dir, initramfs):
    """A memory backend with share=off: evbd sees none of what the guest does, and says so."""
    memory = [word.replace("share=on", "share=off") for word in shared_memory()]
    v = VhostVm(net, d.ns, "private", 1, [add(d, 1)], memory=memory)
    v.boot(vm_dir, initramfs).wait_ready()
    v.must("ip link set eth0 up")
    text = said(d, 1, "UP")
    assert "no receive buffers" in text and "share=on" in text


def test_more_than_is_served(net, d, vm_dir, initramfs):
    """17 queue pairs, and an MTU that the port does not have, on two NICs of a guest."""
    nics = [add(d, 1, queues=17), add(d, 2, props="host_mtu=9000")]
    guest = VhostVm(net, d.ns, "guest", 1, nics).boot(vm_dir, initramfs)
    guest.wait_ready()
    text = said(d, 1, "UP")
    assert "17 queue pairs, and 16 are served" in text and "queues=16" in text
    text = said(d, 2, "DOWN")
    assert "MTU of 9000, and that of the port is 1500" in text and "evb port set" in text
    d.evb("port set v2 mtu 9000")
    device = guest.must("basename $(readlink -f /sys/class/net/eth1/device)").strip()
    for action in ("unbind", "bind"):
        guest.must(f"echo {device} >/sys/bus/virtio/drivers/virtio_net/{action}")
    assert "MTU of 9000" not in said(d, 2, "UP")


def test_iommu_is_refused_by_qemu(net, d, vm_dir, initramfs):
    """It sees that the feature is not there, and says so; the port goes on to wait for a VM."""
    nic = add(d, 1, props="iommu_platform=on,disable-legacy=on")
    guest = VhostVm(net, d.ns, "guest", 1, [nic])
    with pytest.raises(OSError):
        guest.boot(vm_dir, initramfs)
    assert "iommu_platform" in guest.messages()
    assert "no VMM is connected" in said(d, 1, "DOWN")


def test_qemu_of_another_user(net, d):
    """Who may not open the socket hears it from QEMU, and gets in once the port has an owner."""
    nobody = pwd.getpwnam("nobody")

    def qemu(nic):
        log = net.dir / "qemu.log"
        with open(log, "w") as f:
            process = d.ns.popen("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                                 "--clear-groups", "qemu-system-x86_64", "-nodefaults", "-display",
                                 "none", "-S", "-accel", "tcg", *VhostVm(
                                     net, d.ns, "x", 1, [nic]).memory,
                                 *nic.arguments(0), stdin=subprocess.DEVNULL, stdout=f, stderr=f)
        return process, log
    process, log = qemu(add(d, 1))
    wait_for("QEMU says why", lambda: "Permission denied" in log.read_text())
    assert "no VMM is connected" in said(d, 1, "DOWN")
    process.kill()
    process.wait()
    qemu(add(d, 2, "owner nobody"))
    wait_for("it is connected", lambda: "driver has not set up" in said(d, 2, "DOWN"))
