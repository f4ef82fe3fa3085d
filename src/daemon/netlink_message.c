// SPDX-License-Identifier: Apache-2.0
#include "netlink_message.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

bool link_is_running(const struct link_info *link)
{
	/* LOWER_UP goes at once; RUNNING may stay for up to a second (net/core/link_watch.c). */
	uint32_t all = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;

	return (link->flags & all) == all;
}

/* From octets to struct link_info. */

void netlink_copy_string(char *out, size_t size, const struct nlattr *attr)
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (len >= size)
		len = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), len);
	out[len] = '\0';
}

static int kind_attr(const struct nlattr *attr, void *aux)
{
	struct link_info *out = aux;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		netlink_copy_string(out->kind, sizeof(out->kind), attr);
	return MNL_CB_OK;
}

/* Attributes that are too short for their type are passed over, as if absent. */
static int link_attr(const struct nlattr *attr, void *aux)
{
	struct link_info *out = aux;
	uint16_t size = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		netlink_copy_string(out->name, sizeof(out->name), attr);
		break;
	case IFLA_ADDRESS:
		if (size == sizeof(out->mac.b))
			memcpy(out->mac.b, mnl_attr_get_payload(attr), size);
		break;
	case IFLA_MTU:
		if (size >= sizeof(uint32_t))
			out->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_OPERSTATE:
		if (size >= sizeof(uint8_t))
			out->operstate = mnl_attr_get_u8(attr);
		break;
	case IFLA_MASTER:
		if (size >= sizeof(uint32_t))
			out->master = (int)mnl_attr_get_u32(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(attr, kind_attr, out);
		break;
	case IFLA_WIRELESS:
		/* Such a report is about a radio and carries little of the link: not for us. */
		return MNL_CB_STOP;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* False if the message is not a whole report on a link. */
bool netlink_parse(const struct nlmsghdr *nlh, struct link_info *out)
{
	const struct ifinfomsg *ifi;

	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return false;
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return false;
	ifi = mnl_nlmsg_get_payload(nlh);
	/* AF_BRIDGE: a port joined or left a bridge, which is not the life of the link. */
	if (ifi->ifi_family != AF_UNSPEC)
		return false;
	*out = (struct link_info){
		.ifindex = ifi->ifi_index,
		.flags = ifi->ifi_flags,
		.type = ifi->ifi_type,
		.deleted = nlh->nlmsg_type == RTM_DELLINK,
	};
	return mnl_attr_parse(nlh, sizeof(*ifi), link_attr, out) == MNL_CB_OK;
}

/* Requests: a socket of their own each, in the namespace of the calling thread. */

struct mnl_socket *netlink_socket(unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	/* The kernel answers before sendto() returns; this is for a kernel that does not. */
	struct timeval timeout = { .tv_sec = 1 };
	int saved;

	if (!s)
		return NULL;
	if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) == 0 &&
	    setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ==
		    0)
		return s;
	saved = errno;
	mnl_socket_close(s);
	errno = saved;
	return NULL;
}

/* Send the request and feed all answers to `cb` until the last one. 0 or -errno. */
int netlink_exchange(struct nlmsghdr *nlh, mnl_cb_t cb, void *aux)
{
	char *buf = malloc(NETLINK_BUFFER_SIZE);
	struct mnl_socket *s = buf ? netlink_socket(0) : NULL;
	ssize_t size;
	int err = 0, more = MNL_CB_OK;

	if (!s) {
		err = -errno;
		goto out;
	}
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0) {
		err = -errno;
		goto out;
	}
	while (more > MNL_CB_STOP) {
		size = mnl_socket_recvfrom(s, buf, NETLINK_BUFFER_SIZE);
		more = size < 0 ? MNL_CB_ERROR :
				  mnl_cb_run(buf, size, nlh->nlmsg_seq, mnl_socket_get_portid(s),
					     cb, aux);
		if (more == MNL_CB_ERROR)
			err = -errno;
	}
out:
	free(buf);
	if (s)
		mnl_socket_close(s);
	return err;
}

struct nlmsghdr *netlink_request(char buf[NETLINK_REQUEST_SIZE], uint16_t type, int ifindex)
{
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifi;

	memset(buf, 0, NETLINK_REQUEST_SIZE); /* libmnl leaves what is between attributes */
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	return nlh;
}
