# SPDX-License-Identifier: Apache-2.0
"""The host port: the host's own stack on the uplink's device as a station of the relay.

The namespace `st` of the station is the host: evbd runs there, and its addresses are on up0.
"""
import pytest

from evblib import Guest, Refused, Station, iperf, ping_matrix, wait_for

HOST4, HOST6 = "10.0.0.50", "fd00::50"


class Host:
    """The host of a station as one that can ping and be pinged."""

    def __init__(self, station):
        self.name, self.ns = "host", station.st
        self.ip4, self.ip6 = HOST4, HOST6
        self.ns.ip(f"addr add {HOST4}/24 dev up0", f"addr add {HOST6}/64 dev up0 nodad")
        self.mac = self.ns.mac("up0")


def test_smoke(net):
    s = Station(net, [Guest(net, 1, mode="bridge"), Guest(net, 2, mode="bridge")])
    host = Host(s)
    s.evbd.evb("port add host bridge br0 host")
    print(s.evbd.evb("port show").stdout)
    print(s.st.run("ip", "-d", "link").stdout)
    print(s.st.run("bpftool", "net").stdout)
    r = s.guests[0].ns.run("ping", "-c", "2", "-W", "2", HOST4, check=False)
    print(r.stdout)
    r = s.st.run("ping", "-c", "2", "-W", "2", s.guests[0].ip6, check=False)
    print(r.stdout)
    print(s.evbd.evb("port show", options=["-s"]).stdout)
    assert 0
