# SPDX-License-Identifier: Apache-2.0
"""The switches that vhost_user_bench.py compares, and what they stand on.

A Lab is a place of its own: a temporary folder, a network namespace and a mount namespace, huge
pages for the peers that want them, and processes that are ended by their pid. It takes everything
away again, whatever happens; what it cannot (killed outright) the kernel does, but for the huge
pages. A switch is made with N vhost-user ports on which it listens, runs on one CPU, and sleeps
(SIGSTOP) while another is measured.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time

SWITCH_CPU, LOAD_CPU = 1, 0
MACS = ["52:54:00:00:00:0a", "52:54:00:00:00:0b"]
PATIENCE = 20.0  # s for what must happen
HUGE_PAGES = 512  # of 2 MiB: testpmd as switch and load 64 each, OVS 128, and one of each more
NR_HUGE_PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 16384, 1 << 18
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Missing(Exception):
    """A peer that is not installed."""


class Failed(Exception):
    """A peer or a program of ours that did not do what it should."""


def libc(name, *args):
    if getattr(_libc, name)(*args):
        raise OSError(ctypes.get_errno(), name)


def wait_for(what, condition, timeout=PATIENCE, every=0.01):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"never happened: {what}")
        time.sleep(every)


def cpu_seconds(pid):
    """CPU time of all threads, in finer steps than /proc/PID/stat counts it."""
    return sum(ran for ran, _ in threads(pid).values())


def resident(pid):
    """KiB of memory of its own, and KiB of guest memory it has touched."""
    with open(f"/proc/{pid}/status") as f:
        kib = {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in f)
               if k.startswith("Rss")}
    return kib["RssAnon"] + kib["RssFile"], kib["RssShmem"]


def threads(pid):
    """Seconds on a CPU, and waiting for one, of each thread."""
    times = {}
    for t in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it has ended
            times[t.parent.name] = [int(n) / 1e9 for n in t.read_text().split()[:2]]
    return times


class Lab:
    """`crowding`: the largest share of its time that a switch waited for its CPU, since it was
    last set to 0."""

    def __init__(self):
        self.crowding = 0.0
        libc("unshare", CLONE_NEWNS | CLONE_NEWNET)
        libc("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="evb-bench-"))
        self.huge = self.folder / "huge"
        self.processes = []
        self.n_folders = self.n_pages = 0

    def place(self, name):
        """A new folder with a short path: a socket's must fit 107 octets."""
        self.n_folders += 1
        path = self.folder / f"{name}{self.n_folders}"
        path.mkdir()
        return path

    def need_huge_pages(self):
        if self.n_pages:
            return
        before = int(NR_HUGE_PAGES.read_text())
        NR_HUGE_PAGES.write_text(str(before + HUGE_PAGES))
        self.n_pages = int(NR_HUGE_PAGES.read_text()) - before
        if self.n_pages < HUGE_PAGES:
            raise Failed(f"{self.n_pages} huge pages of {HUGE_PAGES}: memory is short")
        self.huge.mkdir()
        libc("mount", b"none", str(self.huge).encode(), b"hugetlbfs", 0, b"pagesize=2M")

    def start(self, cmd, log, cpu=None, env=None, **kw):
        """A process that dies with us; what it says goes to the file `log`."""
        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
        with open(log, "ab") as out:
            kw.setdefault("stdin", subprocess.DEVNULL)
            kw.setdefault("stdout", out)
            try:
                p = subprocess.Popen([str(a) for a in cmd], stderr=out, preexec_fn=prepare,
                                     env={**os.environ, **(env or {})}, **kw)
            except FileNotFoundError as e:
                raise Missing(f"there is no {e.filename}") from None
        p.log = log
        self.processes.append(p)
        return p

    def run(self, cmd, timeout, cpu=None, env=None):
        """What a program prints; Failed, with what it said, if it fails or takes too long."""
        log = self.folder / "run.log"
        log.write_bytes(b"")
        p = self.start(cmd, log, cpu, env, stdout=subprocess.PIPE, text=True)
        try:
            out, _ = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.end(p)
            raise Failed(f"{cmd[0]}: not done after {timeout} s; {tail(log)}") from None
        self.processes.remove(p)
        out = out or ""
        if p.returncode:
            words = " ".join(str(w) for w in cmd[:12])
            raise Failed(f"{words}: exit {p.returncode}; {last_words(out)} {tail(log)}")
        return out

    def end(self, p, hard=False):
        if p.poll() is None:
            p.send_signal(signal.SIGCONT)
            p.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for f in (p.stdin, p.stdout):
            if f:
                f.close()
        if p in self.processes:
            self.processes.remove(p)

    def close(self):
        for p in list(reversed(self.processes)):
            self.end(p)
        if self.n_pages:
            _libc.umount2(str(self.huge).encode(), 2)
            left = int(NR_HUGE_PAGES.read_text()) - self.n_pages
            NR_HUGE_PAGES.write_text(str(max(left, 0)))
            self.n_pages = 0
        shutil.rmtree(self.folder, ignore_errors=True)


def tail(path):
    """The last words of a log, on one line."""
    return last_words(pathlib.Path(path).read_text(errors="replace"))


def last_words(text, n=3):
    return " | ".join(line.strip() for line in text.splitlines()[-n:])


def free_huge_pages():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("HugePages_Free"))


class Switch:
    """What all have in common. `paths`: one socket per port, in order; `is_client`: the guests make
    the sockets. open() makes it run."""
    is_client = False

    def __init__(self, lab, build, n_ports=2):
        self.lab, self.build, self.n_ports = lab, build, n_ports
        self.place = lab.place("s")
        self.processes = []
        self.paths = [self.place / f"p{i}" for i in range(n_ports)]

    def start(self, cmd, cpu=SWITCH_CPU, **kw):
        p = self.lab.start(cmd, self.place / "log", cpu, **kw)
        self.processes.append(p)
        return p

    def wait_paths(self):
        def there():
            for p in self.processes:
                if p.poll() is not None:
                    raise Failed(f"{self.name} ended at its start: {tail(p.log)}")
            return all(p.is_socket() for p in self.paths)
        wait_for(f"{self.name} listens", there)

    def pause(self):
        for p in self.processes:
            p.send_signal(signal.SIGSTOP)

    @contextlib.contextmanager
    def awake(self):
        """Made asleep, it runs only here."""
        for p in self.processes:
            if p.poll() is not None:
                raise Failed(f"{self.name} ended: {tail(p.log)}")
            p.send_signal(signal.SIGCONT)
        before, start = threads(self.pid), time.monotonic()
        try:
            yield self
        finally:
            self.note_crowding(before, time.monotonic() - start)
            time.sleep(0.02)  # it sees that its guests have gone, before others come
            self.pause()

    def note_crowding(self, before, seconds):
        """By the thread that moves the frames: the one that ran most."""
        spent = [(ran - before[t][0], waited - before[t][1])
                 for t, (ran, waited) in threads(self.pid).items() if t in before]
        if spent:
            self.lab.crowding = max(self.lab.crowding, max(spent)[1] / seconds)

    @property
    def pid(self):
        """The process that moves frames: the last one started."""
        return self.processes[-1].pid

    def stop(self):
        for p in reversed(self.processes):
            self.lab.end(p)
        self.processes = []


def mac_of(i):
    """The stations of a bench: MACS first, then others."""
    return MACS[i] if i < len(MACS) else f"52:54:00:01:{i >> 8:02x}:{i & 255:02x}"


class Evbd(Switch):
    """All checks on, as by default; every port in mode bridge."""
    name = "evbd"

    def open(self):
        conf = self.place / "conf"
        lines = ["bridge add br0"]
        lines += [f"port add vm{i} bridge br0 vhost-user {path} mac {mac_of(i)} mode bridge"
                  for i, path in enumerate(self.paths)]
        conf.write_text("\n".join(lines) + "\n")
        self.socket = self.place / "ctl"
        self.start([self.build / "src/daemon/evbd", "-S", self.socket, "-c", conf, "-w", "1"])
        self.wait_paths()

    def evb(self, *words):
        return self.lab.run([self.build / "src/cli/evb", "-S", self.socket, *words], PATIENCE)


def dpdk(lab):
    """The words that let a DPDK process live here and nowhere else."""
    if not shutil.which("dpdk-testpmd"):
        raise Missing("not installed (Debian package dpdk)")
    lab.need_huge_pages()
    return ["--no-pci", "--in-memory", "--single-file-segments", "--huge-dir", lab.huge,
            "-m", "128", "--no-telemetry", "--force-max-simd-bitwidth=512"]


class Prompt:
    """A testpmd at its prompt."""

    def __init__(self, lab, log, cpu, eal, options):
        cmd = ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{cpu},1@{cpu}", *dpdk(lab), *eal,
               "--", "-i", "--nb-cores=1", "--total-num-mbufs=16384", "--no-mlockall", *options]
        self.p = lab.start(cmd, log, cpu, {"RUNTIME_DIRECTORY": str(lab.folder)},
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lab, self.log = lab, log
        self.read()

    def read(self):
        """All that it says until it asks again."""
        got, end = b"", time.monotonic() + PATIENCE
        while not got.endswith(b"testpmd> "):
            left = end - time.monotonic()
            ready = left > 0 and select.select([self.p.stdout], [], [], left)[0]
            more = os.read(self.p.stdout.fileno(), 1 << 16) if ready else b""
            got += more
            if not more:
                self.lab.end(self.p, hard=True)
                raise Failed(f"testpmd {'does not answer' if not ready else 'ended'}: "
                             f"{last_words(got.decode(errors='replace'))} {tail(self.log)}")
        return got.decode(errors="replace")

    def say(self, words):
        self.p.stdin.write(words.encode() + b"\n")
        self.p.stdin.flush()
        return self.read()

    def received(self):
        """Frames that all ports received so far, and when that was."""
        before = time.monotonic()
        text = self.say("show port stats all")
        n = sum(int(m) for m in re.findall(r"RX-packets: (\d+)", text))
        return n, (before + time.monotonic()) / 2


class Testpmd(Switch):
    """DPDK's plain forwarder between two net_vhost ports: no look-up, no check."""
    name = "testpmd"
    tso = ""

    def open(self):
        eal = ["--file-prefix=sw"]
        for i, path in enumerate(self.paths):
            eal += ["--vdev", f"net_vhost{i},iface={path},queues=1{self.tso}"]
        prompt = Prompt(self.lab, self.place / "log", SWITCH_CPU, eal,
                        ["--no-flush-rx", "--forward-mode=io", "--port-topology=paired"])
        self.processes.append(prompt.p)
        prompt.say("start")
        self.wait_paths()


class TestpmdTso(Testpmd):
    name, tso = "testpmd", ",tso=1"


class Ovs(Switch):
    """OVS-DPDK with the flow NORMAL; an instance of its own, which asks no system service."""
    name = "ovs"
    vswitchd = pathlib.Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
    schema = pathlib.Path("/usr/share/openvswitch/vswitch.ovsschema")
    tso = False

    def open(self):
        if not self.vswitchd.exists() or not self.schema.exists():
            raise Missing("not installed (Debian package openvswitch-switch-dpdk)")
        self.lab.need_huge_pages()
        here = str(self.place)
        names = ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR", "RUNTIME_DIRECTORY"]
        self.env = dict.fromkeys(names, here)
        self.db = f"unix:{here}/db.sock"
        self.tool("ovsdb-tool", "create", self.place / "conf.db", self.schema)
        self.start(["ovsdb-server", self.place / "conf.db", f"--remote=p{self.db}", "--unixctl",
                    self.place / "db.ctl"], env=self.env)
        wait_for("ovsdb-server listens", (self.place / "db.sock").is_socket)
        self.vsctl("--no-wait", "init")
        # The thread that moves frames has its CPU to itself; the one that looks after it sleeps.
        config = {"dpdk-init": "true", "dpdk-lcore-mask": f"{1 << LOAD_CPU:#x}",
                  "pmd-cpu-mask": f"{1 << SWITCH_CPU:#x}", "dpdk-socket-mem": "256",
                  "dpdk-hugepage-dir": self.lab.huge, "per-port-memory": "false",
                  "dpdk-extra": "--no-pci --in-memory --no-telemetry --single-file-segments",
                  "userspace-tso-enable": str(self.tso).lower()}
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".",
                   *(f'other_config:{k}="{v}"' for k, v in config.items()))
        self.start([self.vswitchd, self.db, "--unixctl", self.place / "ctl"], LOAD_CPU,
                   env=self.env)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        self.vsctl(*(w for path in self.paths for w in (
            "--", "add-port", "br0", path.name, "--", "set", "Interface", path.name,
            *self.interface(path))))
        if not self.is_client:
            self.wait_paths()
        self.tool("ovs-ofctl", "del-flows", "br0")
        self.tool("ovs-ofctl", "add-flow", "br0", "action=normal")
        self.tool("ovs-ofctl", "mod-port", "br0", "br0", "no-flood")
        for i, path in enumerate(self.paths):
            self.tool("ovs-appctl", "-t", self.place / "ctl", "fdb/add", "br0", path.name, "0",
                      mac_of(i))

    def interface(self, path):
        return ["type=dpdkvhostuser"]

    def tool(self, *cmd):
        return self.lab.run(cmd, PATIENCE, env=self.env)

    def vsctl(self, *words):
        return self.tool("ovs-vsctl", f"--db={self.db}", f"--timeout={int(PATIENCE)}", *words)


class OvsTso(Ovs):
    """Offers offloads only where it is the client."""
    name, tso, is_client = "ovs", True, True

    def interface(self, path):
        return ["type=dpdkvhostuserclient", f"options:vhost-server-path={path}"]


class TestpmdLoad:
    """testpmd as two guests on one core: frames go round between them, each port sends back what it
    got with the addresses swapped, so that none is lost and the switch sees two stations."""

    def __init__(self, lab, switch, packed):
        ring = "queues=1,queue_size=1024,in_order=1," + (
            "packed_vq=1,vectorized=1,mrg_rxbuf=0" if packed else "packed_vq=0,mrg_rxbuf=1")
        self.lab, self.n_free, eal = lab, free_huge_pages(), ["--file-prefix=load"]
        for i, path in enumerate(switch.paths[:2]):
            eal.append(f"--vdev=net_virtio_user{i},path={path},mac={MACS[i]},{ring}")
        self.prompt = Prompt(lab, lab.folder / "load.log", LOAD_CPU, eal, [
            "--txd=1024", "--rxd=1024", "--forward-mode=macswap", "--port-topology=loop",
            f"--eth-peer=0,{MACS[1]}", f"--eth-peer=1,{MACS[0]}"])
        try:  # a switch may take a while to look at a guest that has come
            wait_for("frames come through", lambda: self.run(64, 0.05))
        except Failed:
            self.close()
            raise

    def run(self, size, seconds):
        """Frames a second through the switch, both ways together; 0 if it lost them all."""
        self.prompt.say(f"set txpkts {size}")
        self.prompt.say("start tx_first 16")
        time.sleep(0.1)
        n0, t0 = self.prompt.received()
        time.sleep(seconds)
        n1, t1 = self.prompt.received()
        self.prompt.say("stop")
        return (n1 - n0) / (t1 - t0)

    def close(self):
        """Ends when the switch has let go of our memory too, so that it is there for the next."""
        self.lab.end(self.prompt.p, hard=True)  # it is slow to let go, and leaves nothing
        with contextlib.suppress(Failed):
            wait_for("the switch lets go of a guest's memory",
                     lambda: free_huge_pages() >= self.n_free)
