# SPDX-License-Identifier: Apache-2.0
"""QEMU guests: Debian's cloud kernel, a busybox initramfs made here, driven over the console.

Needs DIR/vmlinuz and DIR/modules, which scripts/vm-kernel leaves there. The guests of one run share
an initramfs; each NIC is a tap that exists (by name) or an open queue (by descriptor).
"""
import os
import re
import select
import shutil
import stat
import subprocess
import time

from guests import Guest

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVERS = ("virtio_pci", "virtio_net")


def _depends(path):
    """Modules that a module needs, from its .modinfo section."""
    with open(path, "rb") as f:
        match = re.search(rb"\0depends=([^\0]*)\0", f.read())
    return [d for d in match.group(1).decode().split(",") if d] if match else []


def module_order(modules, drivers=DRIVERS):
    """Paths of the drivers' modules, each after those that it needs. Built-in ones have no file."""
    found = {}
    for folder, _, names in os.walk(modules):
        for name in names:
            if name.endswith(".ko"):
                found[name[:-3].replace("-", "_")] = os.path.join(folder, name)
    order = []

    def add(name):
        path = found.get(name.replace("-", "_"))
        if path and path not in order:
            for needed in _depends(path):
                add(needed)
            order.append(path)

    for driver in drivers:
        add(driver)
    return order


def _libraries(program):
    """Shared objects that a program loads, with the dynamic linker."""
    out = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def make_initramfs(vm_dir, out, programs=("/usr/bin/iperf3",), drivers=DRIVERS, files=()):
    """busybox, some programs, drivers, files as they are, and vm-init as the first process."""
    root = out + ".root"
    for folder in ("bin", "dev", "proc", "sys", "tmp", "modules"):
        os.makedirs(os.path.join(root, folder))
    shutil.copy("/bin/busybox", os.path.join(root, "bin/busybox"))
    shutil.copy(os.path.join(HERE, "vm-init"), os.path.join(root, "init"))
    os.chmod(os.path.join(root, "init"), 0o755)
    copies = {path: "bin/" + os.path.basename(path) for path in programs}
    copies.update((path, path[1:]) for program in programs for path in _libraries(program))
    copies.update((path, path[1:]) for path in files)
    for path, name in copies.items():
        to = os.path.join(root, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(path, to)
    order = module_order(os.path.join(vm_dir, "modules"), drivers)
    for path in order:
        shutil.copy(path, os.path.join(root, "modules"))
    with open(os.path.join(root, "modules/order"), "w", encoding="ascii") as f:
        f.write("\n".join(os.path.basename(p) for p in order) + "\n")
    with open(out, "wb") as f:
        subprocess.run("find . | cpio -o -H newc --quiet", shell=True, cwd=root, stdout=f,
                       check=True, timeout=60)
    shutil.rmtree(root)


def open_macvtap(lab, ns, dev):
    """A queue of a macvtap device: a descriptor for QEMU."""
    _, out = lab.run(ns, f"cat /sys/class/net/{dev}/tap*/dev")
    major, minor = out.strip().split(":")
    node = os.path.join(lab.dir, "queue-" + dev)
    # The node in /dev is named by interface index, which namespaces share: make our own.
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(int(major), int(minor)))
    return os.open(node, os.O_RDWR)


class VmGuest(Guest):
    """A QEMU guest. `nics` are (MAC, tap name or descriptor); the first is eth0."""

    def __init__(self, lab, name, ns, ip, nics):
        self.lab, self.name, self.ns, self.ip, self.mac = lab, name, ns, ip, nics[0][0]
        self.buffer = b""
        self.nics = nics

    def boot(self, vm_dir, initramfs, accel="tcg"):
        """Start QEMU; wait_ready() waits for the guest."""
        argv, fds = ["-accel", accel, "-m", "256", "-no-reboot"], []
        for i, (mac, tap) in enumerate(self.nics):
            end = f"fd={tap}" if isinstance(tap, int) else f"ifname={tap},script=no,downscript=no"
            if isinstance(tap, int):
                fds.append(tap)
            argv += ["-netdev", f"tap,id=n{i},{end}",
                     "-device", f"virtio-net-pci,netdev=n{i},mac={mac},romfile="]
        self.start(vm_dir, initramfs, argv, fds)
        for fd in fds:
            os.close(fd)

    def start(self, vm_dir, initramfs, more, fds=()):
        """Start QEMU with the kernel, a console on its standard streams, and what `more` says."""
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                "-smp", "1", "-serial", "stdio",
                "-kernel", os.path.join(vm_dir, "vmlinuz"), "-initrd", initramfs,
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off", *more]
        self.errors = open(os.path.join(self.lab.dir, self.name + ".qemu"), "w+",
                           encoding="utf-8")
        self.process = self.lab.spawn(self.ns, *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.errors, pass_fds=fds)

    def _read_until(self, pattern, timeout):
        """Console output up to the pattern, and the match; (output, None) when time is up."""
        end = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.buffer)
            if match:
                before, self.buffer = self.buffer[:match.start()], self.buffer[match.end():]
                return before.decode(errors="replace"), match
            left = max(0, end - time.monotonic())
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            octets = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not octets:
                return self.buffer.decode(errors="replace"), None
            self.buffer += octets

    def wait_ready(self, timeout=90):
        out, match = self._read_until(rb"@@ ready\r?\n", timeout)
        if not match:
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} did not boot: {self.errors.read()}{out[-600:]}")

    def configure(self, *addresses):
        for i, address in enumerate(addresses):
            self._must(f"ip addr add {address} dev eth{i} && ip link set eth{i} up")

    def run(self, command, timeout=30):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        out, match = self._read_until(rb"@@ (\d+)\r?\n", timeout)
        return (int(match.group(1)) if match else 124), out

    def _must(self, command):
        code, out = self.run(command)
        if code:
            raise RuntimeError(f"{self.name}: {command}: {out.strip()}")

    def set_neighbor(self, other):
        self._must(f"arp -i eth0 -s {other.ip} {other.mac}")

    def forget_neighbors(self):
        self._must("ip neigh show dev eth0 | while read -r ip _; do arp -i eth0 -d $ip; done")

    def serve(self, port):
        self.run(f"printf '#!/bin/sh\\necho hello from {self.name}\\n' >/bin/greet; "
                 f"chmod +x /bin/greet; nc -ll -p {port} -e /bin/greet >/dev/null 2>&1 &")

    def greeting(self, ip, port):
        return self.run(f"timeout 3 nc -w 2 {ip} {port} 2>/dev/null")[1].strip()

    def start_iperf_server(self):
        self.run("iperf3 -s -D >/dev/null 2>&1")
