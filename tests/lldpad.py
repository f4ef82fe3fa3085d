# SPDX-License-Identifier: Apache-2.0
"""lldpad on a device of a namespace, for tests and measurements."""
import subprocess

from evblib import wait_for


def instance(n):
    """A VSI ID; lldpad takes none whose first eight octets are zero."""
    return f"11111111-2222-3333-4444-{n:012x}"


class Lldpad:
    """lldpad on a device; `settings`: the lines of its sections for that device."""

    RATIFIED = """nearest_customer_bridge : {{
    {dev} : {{
        adminStatus = 3;
        tlvid0080c20d : {{
            enableTx = true; evbmode = "{role}"; evbrrreq = true; evbrrcap = true;
            ecprte = {rte}; vdprwd = 17; vdprka = {rka};
        }};
    }};
}};
"""
    DRAFT = """nearest_customer_bridge : {{
    {dev} : {{
        adminStatus = 3;
        tlvid001b3f00 : {{
            enableTx = true; fmode = "reflectiverelay"; capabilities = "rte,ecp,vdp";
        }};
        vdp : {{ enableTx = true; role = "{role}"; }};
    }};
}};
"""

    def __init__(self, net, ns, dev, role="station", draft=False, rka=20, rte=14):
        self.net, self.ns, self.dev, self.draft = net, ns, dev, draft
        self.conf = net.dir / f"lldpad-{dev}.conf"
        text = (self.DRAFT if draft else self.RATIFIED).format(
            dev=dev, role=role, rka=rka, rte=rte)
        self.conf.write_text(text)
        self.log = open(net.dir / f"lldpad-{dev}.log", "w")
        self.process = None
        self.start()

    def start(self):
        # Its process ID is in shared memory, System V's or POSIX's by version: one of its own.
        self.process = self.ns.popen(
            "unshare", "-im", "sh", "-c", 'mount -t tmpfs shm /dev/shm && exec "$0" "$@"',
            "lldpad", "-p", "-V7", "-f", self.conf, stdout=self.log, stderr=subprocess.STDOUT)
        wait_for("lldpad answers", lambda: self.tool("-l", "-i", self.dev,
                                                     "adminStatus").returncode == 0)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def tool(self, *words, group=True):
        words = [*words, *(["-g", "ncb"] if group else [])]
        return self.ns.run("lldptool", *words, check=False)

    def neighbour(self):
        return self.tool("-t", "-n", "-i", self.dev).stdout

    def vdptool(self, mode, number, typeid=5, filter_="0-52:00:00:11:22:33"):
        """Ask for an association, and the answer."""
        p = self.ns.run("vdptool", "-i", self.dev, "-T", "-W", "-V", mode, "-c", f"mode={mode}",
                        "-c", "mgrid2=manager", "-c", f"typeid={typeid}", "-c", "typeidver=4",
                        "-c", f"uuid={instance(number)}", "-c", "hints=none",
                        "-c", f"filter={filter_}", check=False)
        return p.stdout + p.stderr
