// SPDX-License-Identifier: Apache-2.0
#include "virtport_message.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* As the kernel names devices; and fit to be logged. */
static bool is_name(const char dev[IFNAMSIZ])
{
	size_t len = strnlen(dev, IFNAMSIZ);

	for (size_t i = 0; i < len; i++) {
		if (dev[i] <= ' ' || dev[i] > '~' || dev[i] == '/' || dev[i] == ':')
			return false;
	}
	return len < IFNAMSIZ;
}

bool virtport_is_valid(const struct virtport *v)
{
	return is_name(v->dev) && v->ifindex >= 0 && v->vlan <= VID_MAX && v->type_id <= 0xffffff &&
	       v->request <= PORT_REQUEST_DISASSOCIATE && !(v->has_mac && mac_is_group(v->mac));
}

/* ---- from octets ---- */

struct parse {
	struct virtport *out;
	unsigned seen; /* bit per attribute below */
	bool is_malformed;
};

enum { SEEN_MAC = 1, SEEN_VLAN = 2, SEEN_TYPE = 4, SEEN_INSTANCE = 8, SEEN_REQUEST = 16 };

/* The payload, if it has `size` octets at least. */
static const void *payload(struct parse *p, const struct nlattr *attr, size_t size)
{
	if (mnl_attr_get_payload_len(attr) >= size)
		return mnl_attr_get_payload(attr);
	p->is_malformed = true;
	return NULL;
}

static int vf_attr(const struct nlattr *attr, void *aux)
{
	struct parse *p = aux;
	const struct ifla_vf_mac *mac;
	const struct ifla_vf_vlan *vlan;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_VF_MAC:
		mac = payload(p, attr, sizeof(*mac));
		if (!mac)
			break;
		memcpy(p->out->mac.b, mac->mac, sizeof(p->out->mac.b));
		p->seen |= SEEN_MAC;
		break;
	case IFLA_VF_VLAN:
		vlan = payload(p, attr, sizeof(*vlan));
		if (!vlan)
			break;
		p->is_malformed |= vlan->vlan > VID_MAX;
		p->out->vlan = (vid_t)vlan->vlan;
		p->seen |= SEEN_VLAN;
		break;
	}
	return MNL_CB_OK;
}

static int vf_list_attr(const struct nlattr *attr, void *aux)
{
	if (mnl_attr_get_type(attr) == IFLA_VF_INFO)
		mnl_attr_parse_nested(attr, vf_attr, aux);
	return MNL_CB_OK;
}

static int port_attr(const struct nlattr *attr, void *aux)
{
	struct parse *p = aux;
	const struct ifla_port_vsi *vsi;
	const uint8_t *octets;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_PORT_VSI_TYPE:
		vsi = payload(p, attr, sizeof(*vsi));
		if (!vsi)
			break;
		p->out->manager = vsi->vsi_mgr_id;
		p->out->version = vsi->vsi_type_version;
		p->out->type_id = vsi->vsi_type_id[0] | (uint32_t)vsi->vsi_type_id[1] << 8 |
				  (uint32_t)vsi->vsi_type_id[2] << 16;
		p->seen |= SEEN_TYPE;
		break;
	case IFLA_PORT_INSTANCE_UUID:
		octets = payload(p, attr, sizeof(p->out->instance));
		if (!octets)
			break;
		memcpy(p->out->instance, octets, sizeof(p->out->instance));
		p->seen |= SEEN_INSTANCE;
		break;
	case IFLA_PORT_REQUEST:
		octets = payload(p, attr, 1);
		if (!octets)
			break;
		p->out->request = octets[0];
		p->seen |= SEEN_REQUEST;
		break;
	}
	return MNL_CB_OK;
}

static int ports_attr(const struct nlattr *attr, void *aux)
{
	if (mnl_attr_get_type(attr) == IFLA_VF_PORT)
		mnl_attr_parse_nested(attr, port_attr, aux);
	return MNL_CB_OK;
}

static int link_attr(const struct nlattr *attr, void *aux)
{
	struct parse *p = aux;
	const char *name = mnl_attr_get_payload(attr);
	size_t size = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		if (!size || size > sizeof(p->out->dev) || name[size - 1])
			p->is_malformed = true;
		else
			memcpy(p->out->dev, name, size);
		break;
	case IFLA_VFINFO_LIST:
		mnl_attr_parse_nested(attr, vf_list_attr, p);
		break;
	case IFLA_VF_PORTS:
		mnl_attr_parse_nested(attr, ports_attr, p);
		break;
	}
	return MNL_CB_OK;
}

int virtport_parse(const struct nlmsghdr *nlh, struct virtport *out)
{
	const unsigned needed = SEEN_TYPE | SEEN_INSTANCE | SEEN_REQUEST | SEEN_VLAN;
	struct parse p = { .out = out };
	const struct ifinfomsg *ifi;

	memset(out, 0, sizeof(*out));
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return -EINVAL;
	ifi = mnl_nlmsg_get_payload(nlh);
	out->ifindex = ifi->ifi_index;
	if (mnl_attr_parse(nlh, sizeof(*ifi), link_attr, &p) < 0 || p.is_malformed ||
	    (p.seen & needed) != needed)
		return -EINVAL;
	out->has_mac = p.seen & SEEN_MAC;
	return virtport_is_valid(out) ? 0 : -EINVAL;
}

int virtport_parse_get(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return 0;
	ifi = mnl_nlmsg_get_payload(nlh);
	return ifi->ifi_index > 0 ? ifi->ifi_index : 0;
}

/* ---- to octets ---- */

static struct nlmsghdr *begin(void *buf, uint16_t type, uint32_t from, uint32_t seq)
{
	struct nlmsghdr *nlh;

	memset(buf, 0, VIRTPORT_MESSAGE_MAX);
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_pid = from;
	nlh->nlmsg_seq = seq;
	return nlh;
}

struct nlmsghdr *virtport_error(void *buf, const struct nlmsghdr *to, int error)
{
	struct nlmsghdr *nlh = begin(buf, NLMSG_ERROR, to->nlmsg_pid, to->nlmsg_seq);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(nlh, sizeof(*e));

	e->error = error;
	e->msg = *to;
	return nlh;
}

struct nlmsghdr *virtport_get_begin(void *buf, const struct nlmsghdr *to)
{
	struct nlmsghdr *nlh = begin(buf, NLMSG_DONE, to->nlmsg_pid, to->nlmsg_seq);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = virtport_parse_get(to);
	mnl_attr_nest_start(nlh, IFLA_VF_PORTS);
	return nlh;
}

bool virtport_get_add(struct nlmsghdr *nlh, const uint8_t instance[16], int response)
{
	enum { ENTRY_MAX = 64 };
	struct nlattr *port;

	if (nlh->nlmsg_len + ENTRY_MAX > VIRTPORT_MESSAGE_MAX)
		return false;
	port = mnl_attr_nest_start(nlh, IFLA_VF_PORT);
	mnl_attr_put(nlh, IFLA_PORT_INSTANCE_UUID, 16, instance);
	mnl_attr_put_u32(nlh, IFLA_PORT_VF, (uint32_t)PORT_SELF_VF);
	if (response != VIRTPORT_PENDING)
		mnl_attr_put_u16(nlh, IFLA_PORT_RESPONSE, (uint16_t)response);
	mnl_attr_nest_end(nlh, port);
	return true;
}

void virtport_get_end(struct nlmsghdr *nlh)
{
	mnl_attr_nest_end(nlh, mnl_nlmsg_get_payload_offset(nlh, sizeof(struct ifinfomsg)));
}

struct nlmsghdr *virtport_ended(void *buf, const struct virtport *v, uint32_t from, uint32_t seq)
{
	struct nlmsghdr *nlh = begin(buf, RTM_SETLINK, from, seq);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	struct ifla_vf_mac mac = { .vf = (uint32_t)PORT_SELF_VF };
	struct ifla_vf_vlan vlan = { .vf = (uint32_t)PORT_SELF_VF, .vlan = v->vlan };
	struct ifla_port_vsi vsi = { .vsi_mgr_id = v->manager, .vsi_type_version = v->version };
	struct nlattr *list, *one;

	ifi->ifi_index = v->ifindex;
	memcpy(mac.mac, v->mac.b, sizeof(v->mac.b));
	for (unsigned i = 0; i < 3; i++)
		vsi.vsi_type_id[i] = (uint8_t)(v->type_id >> 8 * i);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, v->dev);
	list = mnl_attr_nest_start(nlh, IFLA_VFINFO_LIST);
	one = mnl_attr_nest_start(nlh, IFLA_VF_INFO);
	if (v->has_mac)
		mnl_attr_put(nlh, IFLA_VF_MAC, sizeof(mac), &mac);
	mnl_attr_put(nlh, IFLA_VF_VLAN, sizeof(vlan), &vlan);
	mnl_attr_nest_end(nlh, one);
	mnl_attr_nest_end(nlh, list);
	list = mnl_attr_nest_start(nlh, IFLA_VF_PORTS);
	one = mnl_attr_nest_start(nlh, IFLA_VF_PORT);
	mnl_attr_put(nlh, IFLA_PORT_VSI_TYPE, sizeof(vsi), &vsi);
	mnl_attr_put(nlh, IFLA_PORT_INSTANCE_UUID, sizeof(v->instance), v->instance);
	mnl_attr_put_u32(nlh, IFLA_PORT_VF, (uint32_t)PORT_SELF_VF);
	mnl_attr_put_u8(nlh, IFLA_PORT_REQUEST, PORT_REQUEST_DISASSOCIATE);
	mnl_attr_nest_end(nlh, one);
	mnl_attr_nest_end(nlh, list);
	return nlh;
}
