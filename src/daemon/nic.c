// SPDX-License-Identifier: Apache-2.0
#include "nic.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

const char *nic_hwmode_name(enum nic_hwmode mode)
{
	return mode == NIC_VEB ? "veb" : mode == NIC_VEPA ? "vepa" : NULL;
}

/* ---- from octets ---- */

static int xdp_attr(const struct nlattr *attr, void *aux)
{
	struct nic *out = aux;
	uint16_t size = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED && size >= sizeof(uint8_t))
		out->xdp_mode = mnl_attr_get_u8(attr);
	if (mnl_attr_get_type(attr) == IFLA_XDP_PROG_ID && size >= sizeof(uint32_t))
		out->xdp_prog = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int nic_attr(const struct nlattr *attr, void *aux)
{
	struct nic *out = aux;

	if (mnl_attr_get_type(attr) == IFLA_NUM_VF &&
	    mnl_attr_get_payload_len(attr) >= sizeof(uint32_t))
		out->n_vfs = mnl_attr_get_u32(attr);
	if (mnl_attr_get_type(attr) == IFLA_XDP)
		mnl_attr_parse_nested(attr, xdp_attr, out);
	return MNL_CB_OK;
}

int nic_parse(const struct nlmsghdr *nlh, void *out)
{
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct ifinfomsg))
		return MNL_CB_OK;
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), nic_attr, out);
}

/* Attributes of IFLA_AF_SPEC in family AF_BRIDGE: what they say, once the mode is there. */
static int bridge_attr(const struct nlattr *attr, void *aux)
{
	enum nic_hwmode *out = aux;

	if (mnl_attr_get_type(attr) != IFLA_BRIDGE_MODE ||
	    mnl_attr_get_payload_len(attr) < sizeof(uint16_t))
		return MNL_CB_OK;
	switch (mnl_attr_get_u16(attr)) {
	case BRIDGE_MODE_VEB:
		*out = NIC_VEB;
		break;
	case BRIDGE_MODE_VEPA:
		*out = NIC_VEPA;
		break;
	default: /* BRIDGE_MODE_UNDEF, or one that is not invented yet */
		break;
	}
	return MNL_CB_OK;
}

static int spec_attr(const struct nlattr *attr, void *aux)
{
	if (mnl_attr_get_type(attr) == IFLA_AF_SPEC)
		mnl_attr_parse_nested(attr, bridge_attr, aux);
	return MNL_CB_OK;
}

enum nic_hwmode nic_parse_hwmode(const struct nlmsghdr *nlh)
{
	enum nic_hwmode mode = NIC_NO_SWITCH;
	const struct ifinfomsg *ifi;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return NIC_NO_SWITCH;
	ifi = mnl_nlmsg_get_payload(nlh);
	if (ifi->ifi_family == AF_BRIDGE)
		mnl_attr_parse(nlh, sizeof(*ifi), spec_attr, &mode);
	return mode;
}

/* ---- asking ---- */

struct hwmode_dump {
	int ifindex;
	enum nic_hwmode mode;
};

static int hwmode_message(const struct nlmsghdr *nlh, void *aux)
{
	struct hwmode_dump *d = aux;
	enum nic_hwmode mode = nic_parse_hwmode(nlh);

	if (mode != NIC_NO_SWITCH &&
	    ((const struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_index == d->ifindex)
		d->mode = mode;
	return MNL_CB_OK;
}

/* The kernel only knows to list all of them. */
enum nic_hwmode nic_get_hwmode(int ifindex)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_GETLINK, 0);
	struct hwmode_dump d = { .ifindex = ifindex };

	((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_family = AF_BRIDGE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	netlink_exchange(nlh, hwmode_message, &d);
	return d.mode;
}

/* What ethtool(8) does. 0 or -errno. */
static int ethtool(const char *name, void *command)
{
	struct ifreq ifr = { .ifr_data = command };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	err = ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
	close(fd);
	return err;
}

int nic_leave_tags(const char *name)
{
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS };
	int err = ethtool(name, &flags);

	if (err || !(flags.data & ETH_FLAG_RXVLAN))
		return err;
	flags.cmd = ETHTOOL_SFLAGS;
	flags.data &= ~(uint32_t)ETH_FLAG_RXVLAN;
	return ethtool(name, &flags);
}

static void get_driver(const char *name, struct nic *out)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	if (ethtool(name, &info) == 0)
		snprintf(out->driver, sizeof(out->driver), "%s", info.driver);
}

void nic_get(const struct link_info *link, struct nic *out)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_GETLINK, link->ifindex);

	memset(out, 0, sizeof(*out));
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS);
	netlink_exchange(nlh, nic_parse, out);
	out->hwmode = (uint8_t)nic_get_hwmode(link->ifindex);
	get_driver(link->name, out);
}

/* ---- changing ---- */

struct nlmsghdr *nic_hwmode_request(char buf[NETLINK_REQUEST_SIZE], int ifindex,
				    enum nic_hwmode mode)
{
	struct nlmsghdr *nlh = netlink_request(buf, RTM_SETLINK, ifindex);
	struct nlattr *spec;

	((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_family = AF_BRIDGE;
	/* Octet for octet what bridge(8) sends, since drivers read it themselves. */
	mnl_attr_nest_end(nlh, mnl_attr_nest_start(nlh, IFLA_PROTINFO));
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	spec->nla_type = IFLA_AF_SPEC;
	mnl_attr_put_u16(nlh, IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
	mnl_attr_put_u16(nlh, IFLA_BRIDGE_MODE,
			 mode == NIC_VEPA ? BRIDGE_MODE_VEPA : BRIDGE_MODE_VEB);
	mnl_attr_nest_end(nlh, spec);
	return nlh;
}

int nic_set_hwmode(int ifindex, enum nic_hwmode mode)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];

	return netlink_exchange(nic_hwmode_request(buf, ifindex, mode), NULL, NULL);
}
