// SPDX-License-Identifier: Apache-2.0
/* What libvirt and evbd say to each other, octet by octet, and whatever else may come. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtport_message.h"

static const struct virtport sample = {
	.dev = "eth0",
	.ifindex = 3,
	.mac = { { 0x52, 0x54, 0, 0, 0, 0x77 } },
	.vlan = 10,
	.has_mac = true,
	.manager = 1,
	.version = 4,
	.type_id = 0x010203,
	.instance = { 0x11, [15] = 0x55 },
	.request = PORT_REQUEST_DISASSOCIATE,
};

static union {
	struct nlmsghdr align;
	char octets[VIRTPORT_MESSAGE_MAX];
} buf;

/* What evbd says by itself has the form of what libvirt asks. */
static void there_and_back(void **state)
{
	struct nlmsghdr *nlh = virtport_ended(&buf, &sample, 10001234, 7);
	struct virtport v;

	assert_int_equal(nlh->nlmsg_type, RTM_SETLINK);
	assert_int_equal(nlh->nlmsg_pid, 10001234);
	assert_int_equal(nlh->nlmsg_seq, 7);
	assert_int_equal(virtport_parse(nlh, &v), 0);
	assert_string_equal(v.dev, "eth0");
	assert_int_equal(v.ifindex, 3);
	assert_true(mac_equal(v.mac, sample.mac));
	assert_int_equal(v.vlan, 10);
	assert_true(v.has_mac);
	assert_int_equal(v.manager, 1);
	assert_int_equal(v.version, 4);
	assert_int_equal(v.type_id, 0x010203);
	assert_memory_equal(v.instance, sample.instance, sizeof(v.instance));
	assert_int_equal(v.request, PORT_REQUEST_DISASSOCIATE);
}

/* The type goes with its least octet first, the request is one octet, padding is zero. */
static void golden_octets(void **state)
{
	static const uint8_t want[] = { /* IFLA_PORT_VSI_TYPE */ 12,
					0,
					3,
					0,
					1,
					3,
					2,
					1,
					4,
					0,
					0,
					0,
					/* IFLA_PORT_INSTANCE_UUID */ 20,
					0,
					4,
					0,
					0x11,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					0x55,
					/* IFLA_PORT_VF */ 8,
					0,
					1,
					0,
					0xff,
					0xff,
					0xff,
					0xff,
					/* IFLA_PORT_REQUEST */ 5,
					0,
					6,
					0,
					3,
					0,
					0,
					0 };
	struct nlmsghdr *nlh = virtport_ended(&buf, &sample, 1, 1);
	const char *end = (const char *)nlh + nlh->nlmsg_len;

	assert_int_equal(nlh->nlmsg_len, 164);
	assert_memory_equal(end - sizeof(want), want, sizeof(want));
}

/* Every message that is cut, or has one octet changed, is taken or refused, and no more is read. */
static void damaged(void **state)
{
	struct nlmsghdr *nlh = virtport_ended(&buf, &sample, 1, 1);
	uint32_t size = nlh->nlmsg_len;
	struct virtport v;
	unsigned n_refused = 0;

	for (uint32_t n = NLMSG_HDRLEN; n < size; n++) {
		/* A sanitizer sees its end. */
		struct nlmsghdr *copy = calloc(1, MNL_ALIGN(n));

		assert_non_null(copy);
		memcpy(copy, nlh, n);
		copy->nlmsg_len = n;
		/* The last octets are padding, which is not missed. */
		assert_int_equal(virtport_parse(copy, &v), n < size - 3 ? -EINVAL : 0);
		virtport_parse_get(copy);
		free(copy);
	}
	for (uint32_t at = NLMSG_HDRLEN; at < size; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct nlmsghdr *copy = malloc(size);
			int err;

			assert_non_null(copy);
			memcpy(copy, nlh, size);
			((uint8_t *)copy)[at] ^= (uint8_t)(1u << bit);
			err = virtport_parse(copy, &v);
			assert_true(err == 0 || err == -EINVAL);
			if (!err)
				assert_true(v.vlan <= VID_MAX && v.request <= 3 &&
					    memchr(v.dev, 0, sizeof(v.dev)));
			n_refused += err != 0;
			free(copy);
		}
	}
	assert_true(n_refused > 100);
}

static void answers(void **state)
{
	struct nlmsghdr to = { .nlmsg_len = 32, .nlmsg_pid = 5, .nlmsg_seq = 9 };
	struct {
		struct nlmsghdr head;
		struct ifinfomsg ifi;
	} get = { .head = { .nlmsg_len = 32, .nlmsg_pid = 5, .nlmsg_seq = 9 },
		  .ifi = { .ifi_index = 4 } };
	struct nlmsghdr *nlh = virtport_error(&buf, &to, -EBUSY);
	unsigned n = 0;

	assert_int_equal(nlh->nlmsg_len, 36);
	assert_int_equal(nlh->nlmsg_seq, 9);
	assert_int_equal(((struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error, -EBUSY);
	nlh = virtport_get_begin(&buf, &get.head);
	assert_true(virtport_get_add(nlh, sample.instance, VIRTPORT_PENDING));
	virtport_get_end(nlh);
	assert_int_equal(nlh->nlmsg_type, NLMSG_DONE);
	assert_int_equal(nlh->nlmsg_len, 68); /* as lldpad's */
	nlh = virtport_get_begin(&buf, &get.head);
	assert_true(virtport_get_add(nlh, sample.instance, 0));
	virtport_get_end(nlh);
	assert_int_equal(nlh->nlmsg_len, 76);
	nlh = virtport_get_begin(&buf, &get.head);
	while (virtport_get_add(nlh, sample.instance, 0))
		n++;
	virtport_get_end(nlh);
	assert_true(n > 150 && nlh->nlmsg_len <= VIRTPORT_MESSAGE_MAX);
	assert_int_equal(((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_index, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(golden_octets),
		cmocka_unit_test(damaged),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
