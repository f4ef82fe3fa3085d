// SPDX-License-Identifier: Apache-2.0
#include "netlink.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink_message.h"

static int one_link(const struct nlmsghdr *nlh, void *aux)
{
	struct link_info link;

	if (netlink_parse(nlh, &link))
		*(struct link_info *)aux = link;
	return MNL_CB_OK;
}

static int link_get(struct nlmsghdr *nlh, struct link_info *out)
{
	struct link_info link = { 0 };
	int err;

	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = netlink_exchange(nlh, one_link, &link);
	if (err)
		return err;
	if (!link.ifindex)
		return -ENODEV;
	*out = link;
	return 0;
}

int netlink_link_get(const char *name, struct link_info *out)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_GETLINK, 0);

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return link_get(nlh, out);
}

int netlink_link_get_index(int ifindex, struct link_info *out)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];

	/* The kernel takes an index of 0 for "by name" and answers EINVAL. */
	return ifindex > 0 ? link_get(netlink_request(buf, RTM_GETLINK, ifindex), out) : -ENODEV;
}

static int stats_attr(const struct nlattr *attr, void *aux)
{
	size_t at = offsetof(struct rtnl_link_stats64, tx_dropped);

	if (mnl_attr_get_type(attr) == IFLA_STATS64 &&
	    mnl_attr_get_payload_len(attr) >= at + sizeof(uint64_t))
		memcpy(aux, (const char *)mnl_attr_get_payload(attr) + at, sizeof(uint64_t));
	return MNL_CB_OK;
}

static int stats_message(const struct nlmsghdr *nlh, void *aux)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), stats_attr, aux);
}

int netlink_link_tx_dropped(int ifindex, uint64_t *out)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];

	return netlink_exchange(netlink_request(buf, RTM_GETLINK, ifindex), stats_message, out);
}

int netlink_link_set_up(int ifindex)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, ifindex);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	return netlink_exchange(nlh, NULL, NULL);
}

int netlink_link_move(int ifindex, int netns, const char *name)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, ifindex);

	if (strlen(name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return netlink_exchange(nlh, NULL, NULL);
}

int netlink_link_set_mtu(int ifindex, uint32_t mtu)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, ifindex);

	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return netlink_exchange(nlh, NULL, NULL);
}

int netlink_link_set_mac(int ifindex, struct mac mac)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, ifindex);

	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac.b), mac.b);
	return netlink_exchange(nlh, NULL, NULL);
}

int netlink_link_set_alias(int ifindex, const char *alias)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, ifindex);

	if (strlen(alias) >= LINK_ALIAS_SIZE)
		return -EINVAL;
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	return netlink_exchange(nlh, NULL, NULL);
}

static int alias_attr(const struct nlattr *attr, void *aux)
{
	if (mnl_attr_get_type(attr) == IFLA_IFALIAS)
		netlink_copy_string(aux, LINK_ALIAS_SIZE, attr);
	return MNL_CB_OK;
}

static int alias_message(const struct nlmsghdr *nlh, void *aux)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), alias_attr, aux);
}

int netlink_link_get_alias(int ifindex, char out[LINK_ALIAS_SIZE])
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	char alias[LINK_ALIAS_SIZE] = "";
	int err = ifindex > 0 ? netlink_exchange(netlink_request(buf, RTM_GETLINK, ifindex),
						 alias_message, alias) :
				-ENODEV;

	if (!err)
		memcpy(out, alias, sizeof(alias));
	return err;
}

int netlink_link_addrgen_none(int ifindex)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, ifindex);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);
	int err;

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	err = netlink_exchange(nlh, NULL, NULL);
	return err == -EAFNOSUPPORT ? 0 : err;
}

int netlink_link_delete(int ifindex)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];

	/* Without an index the kernel would look for other attributes to choose by. */
	return ifindex > 0 ?
		       netlink_exchange(netlink_request(buf, RTM_DELLINK, ifindex), NULL, NULL) :
		       -ENODEV;
}

/* The table. */

/* ---- ports of a Linux bridge ---- */

struct hairpin_dump {
	int ifindex;
	int found; /* 0 off, 1 on, -1: it is no port of a bridge */
};

static int protinfo_attr(const struct nlattr *attr, void *aux)
{
	struct hairpin_dump *d = aux;

	if (mnl_attr_get_type(attr) == IFLA_BRPORT_MODE && mnl_attr_get_payload_len(attr) >= 1)
		d->found = mnl_attr_get_u8(attr) != 0;
	return MNL_CB_OK;
}

static int brport_attr(const struct nlattr *attr, void *aux)
{
	if (mnl_attr_get_type(attr) == IFLA_PROTINFO)
		mnl_attr_parse_nested(attr, protinfo_attr, aux);
	return MNL_CB_OK;
}

static int brport_message(const struct nlmsghdr *nlh, void *aux)
{
	const struct hairpin_dump *d = aux;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) || ifi->ifi_index != d->ifindex)
		return MNL_CB_OK;
	return mnl_attr_parse(nlh, sizeof(*ifi), brport_attr, aux);
}

static struct nlmsghdr *bridge_request(char buf[NETLINK_REQUEST_SIZE], uint16_t type, int ifindex)
{
	struct nlmsghdr *nlh = netlink_request(buf, type, ifindex);

	((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_family = AF_BRIDGE;
	return nlh;
}

/* The kernel only knows to list the ports of all bridges. */
int netlink_link_get_hairpin(int ifindex, bool *is_on)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = bridge_request(buf, RTM_GETLINK, 0);
	struct hairpin_dump d = { .ifindex = ifindex, .found = -1 };
	int err;

	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	err = netlink_exchange(nlh, brport_message, &d);
	if (err)
		return err;
	*is_on = d.found > 0;
	return d.found < 0 ? -EOPNOTSUPP : 0;
}

int netlink_link_set_hairpin(int ifindex, bool is_on)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = bridge_request(buf, RTM_SETLINK, ifindex);
	struct nlattr *nest = mnl_attr_nest_start(nlh, IFLA_PROTINFO);

	mnl_attr_put_u8(nlh, IFLA_BRPORT_MODE, is_on);
	mnl_attr_nest_end(nlh, nest);
	return netlink_exchange(nlh, NULL, NULL);
}
