# SPDX-License-Identifier: Apache-2.0
"""QEMU guests behind vhost-user ports: their NICs, their memory, QMP. See demo/vm.py, test_qemu.py.

The kernel is Debian's, QEMU emulates the processor: what runs at the other end of the queues is
the virtio driver that users have. Each NIC is eth0, eth1, … in the order given.
"""
import dataclasses
import json
import os
import pathlib
import re
import socket
import sys

from evblib import BUILD, LONG, ROOT, run, wait_for

sys.path.append(str(ROOT / "demo"))
import vm  # noqa: E402

VM_DIRS = [BUILD / "vm", ROOT / "build/vm"]
PROGRAMS = ("/usr/bin/iperf3", "/usr/sbin/ethtool")
BOOT = 100  # s: patience with a guest that boots; alone it takes five, with sanitizers fifteen


class DemoLab:
    """What a guest of the demo asks of its surroundings."""

    def __init__(self, net):
        self.net, self.dir = net, str(net.dir)

    def spawn(self, ns, *argv, **kw):
        return self.net.spaces[ns].popen(*argv, **kw)


def find_kernel():
    """The folder with the kernel of the guests, fetched if need be; (None, why) if that fails."""
    for path in VM_DIRS:
        if (path / "vmlinuz").exists() and (path / "modules").exists():
            return path, ""
    p = run([ROOT / "scripts/vm-kernel", VM_DIRS[0]], check=False, timeout=100)
    if p.returncode:
        return None, f"no kernel for guests: {p.stdout[-200:]}{p.stderr[-200:]}"
    return VM_DIRS[0], ""


class Qmp:
    """The machine protocol of a QEMU."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(LONG)
        self.s.connect(str(path))
        self.file = self.s.makefile("rw")
        self.events = []
        json.loads(self.file.readline())
        self("qmp_capabilities")

    def _read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("QEMU is gone")
        return json.loads(line)

    def __call__(self, command, **arguments):
        arguments = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            return answer["return"]

    def human(self, line):
        out = self("human-monitor-command", command_line=line)
        assert "rror" not in out, f"{line}: {out}"
        return out

    def wait_deleted(self, device, timeout=LONG):
        """Wait until the guest has let go of a device."""
        def gone():
            self("query-name")  # whatever came before the answer is an event
            return any(e["event"] == "DEVICE_DELETED" and e["data"].get("device") == device
                       for e in self.events)
        wait_for(f"{device} is unplugged", gone, timeout)
        self.events.clear()


@dataclasses.dataclass
class Nic:
    """A vhost-user NIC. `server`: QEMU listens, and evbd connects."""

    mac: str
    socket: pathlib.Path
    queues: int = 1
    server: bool = False
    props: str = ""  # further ones of the device, as in packed=on,host_mtu=9000

    def arguments(self, i):
        """Of QEMU, for its NIC number i."""
        end = "server=on,wait=off" if self.server else "reconnect=1"
        # No MSI-X: without KVM, QEMU 7.2.22 falls over its own NULL when a vhost-user device has
        # vectors (kvm_virtio_pci_irqfd_use).
        device = f"virtio-net-pci,netdev=n{i},mac={self.mac},romfile=,id=d{i},vectors=0"
        if self.queues > 1:
            device += ",mq=on"
        return ["-chardev", f"socket,id=c{i},path={self.socket},{end}",
                "-netdev", f"vhost-user,id=n{i},chardev=c{i},queues={self.queues}",
                "-device", device + ("," + self.props if self.props else "")]


def shared_memory(size="192M"):
    return ["-m", f"{size},slots=4,maxmem=1G",
            "-object", f"memory-backend-memfd,id=m0,size={size},share=on",
            "-machine", "pc,memory-backend=m0"]


# QEMU 7.2 without KVM loses writes of a guest that migrates if its memory is a multiple of 256 KiB:
# the shortcut of cpu_physical_memory_sync_dirty_bitmap() leaves TLBs as they are.
MIGRATABLE = "196672K"


class VhostVm(vm.VmGuest):
    """A guest on vhost-user NICs, in no namespace in particular."""

    def __init__(self, net, ns, name, number, nics, memory=None):
        macs = [(n.mac, "") for n in nics] or [("", "")]
        super().__init__(DemoLab(net), name, ns.short, f"10.0.0.{number}", macs)
        self.number, self.net, self.vnics = number, net, nics
        self.memory = memory or shared_memory()
        self.qmp_path = net.dir / f"{name}.qmp"
        self.qmp = None

    def boot(self, vm_dir, initramfs, more=()):
        """Start QEMU; wait_ready() waits for the guest."""
        argv = ["-accel", "tcg", *self.memory, "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        for i, nic in enumerate(self.vnics):
            argv += nic.arguments(i)
        self.start(str(vm_dir), initramfs, [*argv, *more])
        wait_for("QMP of " + self.name, self.qmp_path.exists)
        self.qmp = wait_for("QMP of " + self.name, self._try_qmp)
        return self

    def _try_qmp(self):
        try:
            return Qmp(self.qmp_path)
        except ConnectionRefusedError:
            return None

    def wait_ready(self, timeout=BOOT):
        super().wait_ready(timeout)
        self.must("for c in /proc/sys/net/ipv6/conf/*; do echo 0 >$c/disable_ipv6; "
                  "echo 0 >$c/accept_dad; done")

    def messages(self):
        """What QEMU has complained of."""
        self.errors.flush()
        return pathlib.Path(self.errors.name).read_text(errors="replace")

    def must(self, command, timeout=30):
        """Run it in the guest, and return what it printed."""
        code, out = self.run(command, timeout)
        assert code == 0, f"{self.name}: {command}: exit {code}\n{out}\n{self.messages()}"
        return out

    def use(self, dev, mtu=1500):
        """Talk through this NIC and through no other, and know nobody."""
        self.must("for d in /sys/class/net/eth*; do d=${d##*/}; "
                  "ip addr flush dev $d; ip link set $d down; done; "
                  f"ip link set {dev} mtu {mtu} up && "
                  f"ip addr add {self.ip}/24 dev {dev} && "
                  f"ip addr add fd00::{self.number:x}/64 dev {dev}")

    def pings(self, address, count=3, size=56, patience=8):
        """Does every ping come back?"""
        word = "ping6" if ":" in address else "ping"
        out = self.run(f"{word} -c {count} -i 0.05 -W {patience} -s {size} {address}")[1]
        return f"{count} packets received" in out

    def bad_packets(self):
        """Counters of wrong checksums and headers that the guest's stack has seen; {} is good."""
        lines = [line.split() for line in self.must("cat /proc/net/snmp").splitlines()
                 if re.match(r"\w+:", line)]
        counters = {names[0] + k: int(v) for names, values in zip(lines[::2], lines[1::2])
                    for k, v in zip(names[1:], values[1:])}
        for line in self.must("cat /proc/net/snmp6").splitlines():
            k, _, v = line.partition(" ")
            counters[k] = int(v or 0)
        return {k: v for k, v in counters.items()
                if v and re.search("CsumErrors|InHdrErrors|InTruncatedPkts", k)}

    def iperf(self, address, *options, seconds=1):
        """An iperf3 client in the guest; its JSON."""
        out = self.must(f"iperf3 -J -c {address} -t {seconds} --connect-timeout 5000 "
                        + " ".join(options), timeout=seconds + LONG)
        return json.loads(out[out.index("{"):])

    def end(self):
        """Pull the plug."""
        self.process.kill()
        self.process.wait(LONG)
        if self.qmp_path.exists():
            os.unlink(self.qmp_path)
