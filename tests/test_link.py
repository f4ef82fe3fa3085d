# SPDX-License-Identifier: Apache-2.0
"""Devices beneath ports, as `evb link` shows them. No NIC with a switch of its own is at hand."""
from evblib import hint_of


def station(net):
    st, peer = net.ns("st", "peer")
    net.veth(st, "up0", peer, "x0", mtu=1400)
    net.veth(st, "spare", peer, "x1")
    return st, net.evbd(st, "bridge add br0 uplink up0\nbridge add br1\n"
                        "port add two bridge br1 packet up0 role uplink\n"
                        "port add m bridge br0 memory\nport add vm bridge br0 tap\n")


def test_show(net):
    """Devices that ports stand on, each once, with what the kernel says of them."""
    st, d = station(net)
    (link,) = d.json("link show")
    assert link["ifname"] == "up0" and link["ports"] == ["up0", "two"]
    assert link["driver"] == link["kind"] == "veth"
    assert link["carrier"] is True and link["operstate"] == "UP"
    assert link["mtu"] == 1400 and link["address"] == st.mac("up0")
    assert link["num_vf"] == 0 and "hwmode" not in link and "reason" not in link
    st.ip("link set up0 down")
    (spare,) = d.json("link show spare")
    assert spare["ports"] == []
    d.wait_port("up0", "DOWN")
    assert d.json("link show up0")[0]["carrier"] is False
    table = d.evb("link show").stdout.splitlines()
    assert table[0].split() == ["NAME", "DRIVER", "STATE", "MTU", "ADDRESS", "VFS", "PORTS"]
    assert "veth" in table[1] and "up0" in table[1]
    refused = d.evb("link show nodev", check=False)
    assert refused.returncode == 1 and "nodev: there is no such device" in refused.stderr


def test_set_is_refused(net):
    """A device without a switch says so, and what hwmode is for; nothing changes."""
    _st, d = station(net)
    before = d.json("link show")
    for mode in ("vepa", "veb"):
        p = d.evb(f"link set up0 hwmode {mode}", check=False)
        assert p.returncode == 1
        assert "up0: its driver veth does not set the mode of a switch in the NIC: " \
            "Operation not supported" in p.stderr
        assert "SR-IOV" in hint_of(p.stderr)
    assert "no such device" in d.evb("link set nodev hwmode veb", check=False).stderr
    p = d.evb("link set up0 hwmode hairpin", check=False)
    assert p.returncode == 2 and "vepa or veb" in p.stderr
    assert d.json("link show") == before
