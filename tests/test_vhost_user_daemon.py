# SPDX-License-Identifier: Apache-2.0
"""vhost-user ports as their operator meets them: sockets, files, refusals, VMMs that come and go.

What is said between evbd and a VMM is the matter of other tests.
"""
import grp
import os
import pwd
import signal
import socket
import stat
import statistics
import time

import pytest

from evblib import LONG, Rpc, hint_of, wait_for
from frames import frame
from vhostfront import Front

M1, M2 = "52:54:00:00:00:01", "52:54:00:00:00:02"
BASE = "bridge add br0\n"


@pytest.fixture
def d(net):
    """A daemon with a bridge, and a folder for sockets."""
    daemon = net.evbd(net.ns("st"), BASE)
    daemon.folder = net.dir / "sockets"
    daemon.folder.mkdir()
    daemon.lost_ports = True
    return daemon


def add(d, name, path=None, *words):
    d.evb("port", "add", name, "bridge", "br0", "vhost-user", str(path or d.folder / name), *words)
    return path or d.folder / name


def server_at(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen(4)
    s.settimeout(LONG)
    return s


def client_of(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(LONG)
    s.connect(str(path))
    return s


def refused(d, *words):
    p = d.evb("port", "add", *[str(w) for w in words], check=False)
    assert p.returncode == 1, p
    return p.stderr


# ---- sockets ----

@pytest.mark.parametrize("words, mode, owner, group", [
    ((), 0o600, "root", "root"),
    (("owner", "nobody"), 0o660, "nobody", "root"),
    (("group", "nogroup"), 0o660, "root", "nogroup"),
    (("owner", "nobody", "group", "nogroup", "perm", "0600"), 0o600, "nobody", "nogroup"),
    (("perm", "0666"), 0o666, "root", "root"),
])
def test_owner_and_mode(d, words, mode, owner, group):
    """The socket is as asked for, and there is nothing beside it in the folder."""
    path = add(d, "v1", None, *words)
    st = path.stat()
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == mode
    assert pwd.getpwuid(st.st_uid).pw_name == owner
    assert grp.getgrgid(st.st_gid).gr_name == group
    assert os.listdir(d.folder) == ["v1"]
    p = d.port("v1")
    assert p["path"] == str(path) and p["perm"] == f"{mode:04o}" and p["client"] is False


def test_who_may_connect(d):
    """The owner can, and nobody else, also in a folder that is his own."""
    nobody = pwd.getpwnam("nobody").pw_uid
    d.folder.parent.chmod(0o755)
    os.chown(d.folder, nobody, -1)
    add(d, "mine", None, "owner", "nobody")
    add(d, "others")

    def try_as_nobody(path):
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setgid(grp.getgrnam("nogroup").gr_gid)
                os.setuid(nobody)
                client_of(path)
                os._exit(0)
            except PermissionError:
                os._exit(1)
            finally:
                os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert try_as_nobody(d.folder / "mine") == 0
    assert try_as_nobody(d.folder / "others") == 1


def test_many_sockets_in_folders_of_the_users_choice(d):
    for i in range(20):
        (d.folder / str(i)).mkdir()
        add(d, f"v{i}", d.folder / str(i) / "vm sock")
        assert client_of(d.folder / str(i) / "vm sock")
    for i in range(20):
        d.wait_port(f"v{i}", "DOWN")
        d.evb(f"port del v{i}")
        assert not os.listdir(d.folder / str(i))


def test_stale_socket_is_replaced(d):
    """A socket that a dead process left is in nobody's way."""
    path = d.folder / "v1"
    server_at(path).close()
    before = path.stat().st_ino
    add(d, "v1")
    assert path.stat().st_ino != before
    client_of(path)


def test_live_socket_is_refused(d):
    """The socket of another process stays his, and it is said whose it is."""
    path = d.folder / "v1"
    other = server_at(path)
    before = path.stat()
    err = refused(d, "v1", "bridge", "br0", "vhost-user", path)
    assert f"process {os.getpid()} (" in err and "listens on this socket" in err
    assert "stop it first" in hint_of(err)
    assert path.stat() == before
    while True:  # evbd has knocked, and that is all
        knock, _ = other.accept()
        if not knock.recv(1):
            break
    assert client_of(path)
    other.close()
    add(d, "v1")


def test_file_is_never_touched(d):
    for name, make in (("file", lambda p: p.write_text("precious")), ("folder", os.mkdir),
                       ("link", lambda p: p.symlink_to("/nowhere")), ("pipe", os.mkfifo)):
        path = d.folder / name
        make(path)
        before = path.lstat()
        err = refused(d, "v1", "bridge", "br0", "vhost-user", path)
        assert "is not a socket" in err and "move that file away" in hint_of(err)
        assert path.lstat() == before
    assert (d.folder / "file").read_text() == "precious"


def test_control_socket_is_refused(d):
    err = refused(d, "v1", "bridge", "br0", "vhost-user", d.socket)
    assert "evbd listens on this socket already" in err and hint_of(err)
    assert d.json("daemon show")


# (words after `port add`, exit code, part of the message, part of the hint)
WRONG = [
    ("v1 bridge br0 vhost-user", 2, "needs a value", "absolute path"),
    ("v1 bridge br0 vhost-user vm1.sock", 2, "vm1.sock", "absolute path of at most 107"),
    ("v1 bridge br0 vhost-user /" + "x" * 107, 2, "path", "at most 107"),
    ("v1 bridge br0 vhost-user /nowhere/at/all/v1", 1, "folder /nowhere/at/all does not exist",
     "mkdir -p /nowhere/at/all"),
    ("v1 bridge br0 vhost-user /proc/v1", 1, "cannot make a socket in /proc", "allowed to write"),
    ("v1 bridge br0 vhost-user /a owner no-such-user", 1, "no user no-such-user", "VMM"),
    ("v1 bridge br0 vhost-user /a group no-such-group", 1, "no group no-such-group", "VMM"),
    ("v1 bridge br0 vhost-user /a perm 0999", 2, "0999", "octal"),
    ("v1 bridge br0 vhost-user /a queues 0", 2, "0", "1 to 16"),
    ("v1 bridge br0 vhost-user /a client owner root", 1, "owner does not go with client", "VMM"),
    ("v1 bridge br0 vhost-user /a netns x", 1, "netns is for a tap", "tap"),
    ("v1 bridge br0 tap client", 1, "client is for a vhost-user port", "vhost-user"),
    ("v1 bridge br0 vhost-user /a client yes", 2, "yes", "help port"),
    ("v1 bridge br0 vhost /a", 2, "vhost", "vhost-user"),
]


@pytest.mark.parametrize("words, code, message, hint", WRONG, ids=[w[0][-40:] for w in WRONG])
def test_wrong_commands(d, words, code, message, hint):
    p = d.evb("port", "add", *words.split(), check=False)
    assert p.returncode == code and message in p.stderr and hint in hint_of(p.stderr), p.stderr
    assert d.call("port.show") == []
    assert not os.path.exists(d.net.dir / "rings/v1")


def test_one_path_one_port(d):
    add(d, "v1")
    for words in ((), ("client",)):
        err = refused(d, "v2", "bridge", "br0", "vhost-user", d.folder / "v1", *words)
        assert "is that of port v1" in err and hint_of(err)
    # The same by another spelling: whoever listens there is evbd.
    err = refused(d, "v2", "bridge", "br0", "vhost-user", f"{d.folder}/./v1")
    assert "evbd listens" in err


# ---- files ----

def test_configuration_comes_back(net, d):
    """config show, config save and a restart make the same ports again."""
    add(d, "v1", None, "owner", "nobody", "perm", "0666", "queues", "4", "config", "on", "mac", M1)
    add(d, "v2", None, "client", "offload", "off", "mode", "bridge")
    add(d, "v3", d.folder / "with space", "group", "nogroup")
    shown = d.evb("config show").stdout
    assert f"vhost-user {d.folder}/v2 client " in shown and f'"{d.folder}/with space"' in shown
    saved = net.dir / "saved.conf"
    d.evb("config", "save", str(saved))
    ports = d.call("port.show")
    d.stop()
    assert os.listdir(d.folder) == []
    d.config.write_text(saved.read_text())
    d.start()
    assert d.evb("config show").stdout == shown
    assert d.call("port.show") == ports
    assert (d.folder / "v1").stat().st_mode & 0o777 == 0o666


def test_show_without_guest(d):
    """The port says what is missing, and how to start a VM."""
    path = add(d, "v1", None, "mac", M1)
    p = d.port("v1", stats=True)
    assert p["operstate"] == "DOWN" and p["reason"] == f"no VMM is connected to {path}"
    for part in ("memory-backend-memfd,id=m0,size=1G,share=on", "-machine memory-backend=m0",
                 f"-chardev socket,id=c0,path={path},reconnect=1", "chardev=c0",
                 f"-device virtio-net-pci,netdev=n0,mac={M1}"):
        assert part in p["hint"]
    v = p["vhost"]
    assert v["features"] == v["protocol_features"] == v["queues"] == []
    assert v["sessions"] == v["faults"] == v["kicks"] == 0
    add(d, "v2", None, "client")
    p = d.port("v2")
    assert p["reason"] == f"no VMM listens on {d.folder}/v2" and "server=on" in p["hint"]
    text = d.evb("-s port show").stdout
    assert "vhost: sessions 0, faults 0" in text and "reconnect=1" in text


def test_events(d):
    rpc = Rpc(d.socket)
    rpc.call("monitor.subscribe", kinds=["port", "link"])
    add(d, "v1", None)
    d.evb("port del v1")
    got = [rpc.next_event() for _ in range(3)]
    assert [(e["kind"], e.get("action"), e.get("operstate")) for e in got] == [
        ("port", "add", None), ("link", None, "DOWN"), ("port", "del", None)]


def test_end_leaves_nothing(net, d):
    """SIGTERM with a VMM and a client port connected: no socket of ours is left, the VMM's is."""
    add(d, "v1")
    listener = server_at(d.folder / "v2")
    add(d, "v2", None, "client")
    listener.accept()
    front = Front(net)
    front.setup(d.folder / "v1")
    d.wait_port("v1", "UP")
    d.stop()
    assert os.listdir(d.folder) == ["v2"]


def test_only_our_own_file_is_removed(d):
    path = add(d, "v1")
    path.unlink()
    other = server_at(path)
    d.evb("port del v1")
    assert path.exists() and client_of(path)
    other.close()


def test_restart_after_kill(net, d):
    """SIGKILL leaves a stale socket; the next evbd takes it, and the VM finds it again."""
    path = add(d, "v1", None, "mac", M1)
    d.config.write_text(d.evb("config show").stdout)
    front = Front(net)
    front.setup(path)
    d.wait_port("v1", "UP")
    d.kill()
    assert path.exists()
    d.start()
    front("reconnect from=used")
    d.wait_port("v1", "UP")
    assert (net.dir / "rings/v1").stat().st_size == 4096
    d.evb("port del v1")
    assert not path.exists() and not (net.dir / "rings/v1").exists()


def test_waits_for_its_folder_at_boot(d):
    path = d.folder / "late/v1"
    d.stop()
    d.config.write_text(f"{BASE}port add v1 bridge br0 vhost-user {path}\n")
    d.start()
    p = d.port("v1")
    assert p["operstate"] == "DOWN" and "late does not exist" in p["reason"]
    assert "mkdir -p" in p["hint"]
    path.parent.mkdir()
    wait_for("the socket", path.exists)
    client_of(path)


# ---- client ----

def test_client_finds_the_socket_at_once(d):
    """Not at the next second: the folder tells. (The timer alone would take half of one.)"""
    path = add(d, "v1", None, "client")
    took = []
    for _ in range(5):
        time.sleep(1.2)  # long enough for the timer to be at its slowest
        listener = server_at(path)
        begin = time.monotonic()
        connection, _ = listener.accept()
        took.append(time.monotonic() - begin)
        connection.close()
        listener.close()
        path.unlink()
    assert statistics.median(took) < 0.25, took


def test_client_comes_back(net, d):
    """A VMM that closes the connection is connected to again, also if it is another one."""
    path = add(d, "v1", None, "client", "mac", M1)
    for _ in range(3):
        front = Front(net)
        front("listen", path)
        front("accept")
        front.setup()
        d.wait_port("v1", "UP")
        front.die()
        d.wait_port("v1", "DOWN")
        assert path.exists()  # it is the VMM's
        path.unlink()
    # One that is dying may still take a call.
    assert d.port("v1", stats=True)["vhost"]["sessions"] >= 3


def test_client_is_patient_with_one_that_hangs_up(d):
    """A server that closes every connection is not called without a pause."""
    path = add(d, "v1", None, "client")
    listener = server_at(path)
    end = time.monotonic() + 3
    n = 0
    listener.settimeout(3)
    while time.monotonic() < end:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            break
        connection.close()
        n += 1
    assert 2 <= n <= 20


# ---- guests ----

def two_guests(net, d, **keys):
    fronts = []
    for name, mac in (("v1", M1), ("v2", M2)):
        path = add(d, name, None, "mac", mac, "mode", "bridge")
        fronts.append(Front(net))
        fronts[-1].setup(path, queues=1, size=256, **keys)
        d.wait_port(name, "UP")
    return fronts


def passes(a, b):
    """A frame of the first guest reaches the second, perhaps behind announcements."""
    octets = frame(M2, M1, 1)
    a.send(octets)
    while not b.receive()[0].startswith(octets):
        pass


def test_attach_and_detach(net, d):
    """A guest comes, speaks and goes, and everybody hears of it."""
    rpc = Rpc(d.socket)
    rpc.call("monitor.subscribe", kinds=["link", "fault"])
    a, b = two_guests(net, d)
    passes(a, b)
    p = d.port("v2", stats=True)
    assert "reason" not in p
    v = p["vhost"]
    assert v["sessions"] == 1 and v["memory"]["regions"] >= 1 and v["memory"]["bytes"] > 1 << 20
    assert "version_1" in v["features"] and "mq" in v["protocol_features"]
    assert int(v["features_hex"], 16) >> 32 & 1
    (pair,) = v["queues"]
    assert pair["to_guest"]["running"] and pair["to_guest"]["size"] == 256
    assert sum(v["sizes"].values()) == 1
    assert sum(v["calls"].values()) >= 1
    assert p["stats64"]["tx"]["packets"] == 1
    text = d.evb("-s port show v2").stdout
    assert "version_1" in text and "of 256" in text
    a.die()
    d.wait_port("v1", "DOWN")
    assert d.port("v1", stats=True)["vhost"]["features"] == []
    seen = []
    while seen.count(("v1", "DOWN")) < 3:
        e = rpc.next_event()
        assert e["kind"] == "link", e
        seen.append((e["ifname"], e["operstate"]))
    assert [s for n, s in seen if n == "v1"] == ["DOWN", "DOWN", "UP", "DOWN"]


def test_changes_keep_the_guest(net, d):
    """port set, new ports and refused changes leave the VMM connected and its guest running."""
    a, b = two_guests(net, d)
    for words in ("port set v1 mtu 1400 offload off", "port set v1 offload on mtu none",
                  "port set v2 vlan 7", "port set v2 vlan none", "port add m bridge br0 memory",
                  "port set v1 standby on", "port set v1 standby off"):
        d.evb(words)
    assert d.evb("port add w bridge br0 packet nodev0", check=False).returncode == 1
    passes(a, b)
    for name in ("v1", "v2"):
        p = d.port(name, stats=True)
        assert p["operstate"] == "UP" and p["vhost"]["sessions"] == 1


def test_second_vmm_is_turned_away(net, d):
    a, b = two_guests(net, d)
    for _ in range(3):
        assert client_of(d.folder / "v1").recv(1) == b""
    passes(a, b)
    assert d.port("v1", stats=True)["vhost"]["sessions"] == 1
    assert d.log.read_text().count("is turned away: another VMM is connected") == 1


def test_quick_restart_of_the_vmm(net, d):
    """The successor of a VMM that was killed is let in at once, however soon it comes."""
    a, b = two_guests(net, d)
    for _ in range(10):
        a.die()
        a = Front(net)
        a.setup(d.folder / "v1")
        passes(a, b)


def test_delete_with_a_running_guest(net, d):
    a, b = two_guests(net, d)
    passes(a, b)
    d.evb("port del v2")
    assert os.listdir(d.folder) == ["v1"]
    a.send(frame(M2, M1, 2), count=50)
    b.die()
    add(d, "v2", None, "mac", M2, "mode", "bridge")
    b = Front(net)
    b.setup(d.folder / "v2")
    passes(a, b)


def test_deleted_and_added_in_one_go(net, d):
    """A file that replaces a port: the socket stays, and the VM connects again."""
    a, b = two_guests(net, d)
    inode = (d.folder / "v1").stat().st_ino
    d.evb("-b", "-", text=f"port del v1\nport add v1 bridge br0 vhost-user {d.folder}/v1 queues 2 "
                          f"mac {M1} mode bridge\n")
    assert (d.folder / "v1").stat().st_ino == inode
    a("reconnect from=used")
    passes(a, b)


# What the guest does, the kind of ring, and who starts anew: (attack, packed, restart).
FAULTS = [
    ("desc_outside", 0, "VMM"),
    ("desc_outside", 1, "VMM"),
    ("loop", 0, "VMM"),
    ("wrong_direction", 0, "driver"),
    ("len_huge", 1, "VMM"),
]


@pytest.mark.parametrize("attack, packed, restart", FAULTS)
def test_fault_and_recovery(net, d, attack, packed, restart):
    """A guest that breaks the rules of its queues: its port is faulty, says why, harms nobody, and
    works again when the queues are set up anew."""
    a, b = two_guests(net, d, packed=packed)
    passes(a, b)
    rpc = Rpc(d.socket)
    rpc.call("monitor.subscribe", kinds=["link", "fault"])
    assert b("hostile", attack)["err"]  # the VMM is told as well
    p = d.wait_port("v2", "FAULTY")
    assert p["reason"].startswith("transmit queue 0: ") and "reset" in p["hint"]
    link, fault = rpc.next_event(), rpc.next_event()
    assert (link["kind"], link["operstate"]) == ("link", "FAULTY")
    assert (fault["kind"], fault["reason"]) == ("fault", p["reason"]) and fault["hint"]
    assert d.port("v2", stats=True)["vhost"]["faults"] == 1
    assert "v2: FAULTY: " in d.log.read_text()
    # The neighbour is well, and frames for the faulty port are counted as for any that is down.
    a.send(frame(M2, M1, 3))
    wait_for("a drop", lambda: d.drops("v2").get("port_down"))
    assert d.port("v1")["operstate"] == "UP"
    d.evb("port set v2 promisc on")  # nor does a change of the configuration hide it
    assert d.port("v2")["operstate"] == "FAULTY"
    if restart == "VMM":
        b.die()
        b = Front(net)
        b.setup(d.folder / "v2", packed=packed)
    else:  # the ring of the guest's transmitter is empty again, as after a reset of the driver
        b("stop")
        b("poke", b("ring 1")["driver"] + 2, "0000")
        b("resume from=base")
    assert "reason" not in d.wait_port("v2", "UP")
    passes(a, b)


def test_nonsense_on_the_socket(net, d):
    """What is no VMM is shown the door; the port says what it said, and works for the next one."""
    path = add(d, "v1", None, "mac", M1)
    for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, os.urandom(333)):
        s = client_of(path)
        s.sendall(octets)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
        s.close()
        p = d.wait_port("v1", "DOWN")
        wait_for("the reason", lambda: "no VMM" not in d.port("v1")["reason"])
        assert d.port("v1")["hint"] is not None
    front = Front(net)
    front.setup(path)
    d.wait_port("v1", "UP")


def test_stopped_vmm_does_not_stop_the_daemon(net, d):
    """SIGSTOP of a VMM: evbd answers, forwards for others, and takes the port away."""
    a, b = two_guests(net, d)
    add(d, "v3", None, "mode", "bridge")
    c = Front(net)
    c.setup(d.folder / "v3")
    b.process.send_signal(signal.SIGSTOP)
    for i in range(600):  # more than its queue holds
        a.send(frame(M2, M1, i))
    a.send(frame("ff:ff:ff:ff:ff:ff", M1, 601))
    c.receive()
    assert d.drops("v2")["queue_full"] > 0
    d.evb("port del v2")
    b.process.send_signal(signal.SIGCONT)
