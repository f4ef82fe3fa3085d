# SPDX-License-Identifier: Apache-2.0
"""What the demo asks of a guest, whether it is a container or a virtual machine."""
import re
import socket
import threading

import lab as workbench


class Guest:
    """A guest: run(command, timeout) gives (exit code, output) of a shell command inside it."""

    name = mac = ip = ""

    def run(self, command, timeout=30):
        raise NotImplementedError

    def serve(self, port):
        """Answer every connection to a TCP port with a greeting."""
        raise NotImplementedError

    def greeting(self, ip, port):
        """What the TCP server there says; empty if it cannot be reached within two seconds."""
        raise NotImplementedError

    def start_iperf_server(self):
        raise NotImplementedError

    def ping(self, ip, count=5, wait=1):
        """How many of the pings were answered."""
        _, out = self.run(f"ping -q -c {count} -i 0.2 -W {wait} {ip}", timeout=count * wait + 15)
        match = re.search(r"(\d+) (packets )?received", out)
        return int(match.group(1)) if match else 0

    def set_neighbor(self, other):
        """Know the other's MAC without asking, as a guest that means to get around ARP would."""
        raise NotImplementedError

    def forget_neighbors(self):
        raise NotImplementedError

    def iperf(self, ip, seconds):
        """TCP throughput to an iperf3 server, in Gbit/s, as the receiver counted it."""
        _, out = self.run(f"iperf3 -c {ip} -t {seconds} -f m --connect-timeout 3000",
                          timeout=seconds + 15)
        match = re.search(r"([\d.]+) Mbits/sec\s+receiver", out)
        return float(match.group(1)) / 1000 if match else 0.0


class NetnsGuest(Guest):
    """The stack of a network namespace, on its eth0."""

    def __init__(self, lab, name, ns, ip):
        self.lab, self.name, self.ns, self.ip = lab, name, ns, ip

    def configure(self, address):
        self.lab.run(self.ns, f"ip addr add {address} dev eth0; ip link set eth0 up")
        _, out = self.lab.run(self.ns, "cat /sys/class/net/eth0/address")
        self.mac = out.strip()

    def run(self, command, timeout=30):
        return self.lab.run(self.ns, command, timeout=timeout, check=False)

    def set_neighbor(self, other):
        self.lab.run(self.ns, f"ip neigh replace {other.ip} lladdr {other.mac} dev eth0 "
                              "nud permanent")

    def forget_neighbors(self):
        self.lab.run(self.ns, "ip neigh show dev eth0 | while read -r ip _; do "
                              "ip neigh del $ip dev eth0; done")

    def serve(self, port):
        with workbench.inside(self.ns):
            server = socket.create_server(("", port))
        greeting = f"hello from {self.name}\n".encode()
        threading.Thread(target=_greet_forever, args=(server, greeting), daemon=True).start()

    def greeting(self, ip, port):
        command = f"timeout 2 bash -c 'head -n 1 </dev/tcp/{ip}/{port}' 2>/dev/null"
        return self.run(command)[1].strip()

    def start_iperf_server(self):
        self.lab.spawn(self.ns, "iperf3", "-s")


def _greet_forever(server, greeting):
    while True:
        connection, _ = server.accept()
        with connection, _ignored_errors():
            connection.sendall(greeting)


class _ignored_errors:
    """A client that went away is no concern of the server's."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        return kind is not None and issubclass(kind, OSError)
