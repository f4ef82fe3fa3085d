// SPDX-License-Identifier: Apache-2.0
#include "front_hostile.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PROBE_MS = 1000, STALE_MAX = 100000 };

void front_attack_probe(struct front_dev *d, struct front_attack_result *result)
{
	struct front_msg m = { .request = FRONT_GET_FEATURES, .flags = FRONT_VERSION };
	int timeout = d->sock.timeout_ms, err;

	if (timeout > PROBE_MS)
		d->sock.timeout_ms = PROBE_MS;
	err = front_send(&d->sock, &m);
	for (unsigned i = 0; !err && i < STALE_MAX; i++) {
		err = front_recv(&d->sock, &m);
		if (err)
			break;
		front_msg_close_fds(&m);
		if (m.request == FRONT_GET_FEATURES && m.size == 8) {
			result->answers = true;
			break;
		}
		result->acked = true;
		result->refused |= m.size == 8 && m.u.u64;
	}
	result->closed = err == -ECONNRESET || err == -ENOTCONN;
	d->sock.timeout_ms = timeout;
}

int front_attack(struct front_dev *d, const char *name, const struct front_attack_args *args,
		 struct front_attack_result *result)
{
	int err;

	*result = (struct front_attack_result){ 0 };
	if (!front_dev_ring(d, args->idx))
		return -EINVAL;
	err = front_attack_ring(d, name, args, result);
	if (err == -ENOENT)
		err = front_attack_message(d, name, result);
	if (err == -ENOENT)
		err = front_attack_setup(d, name, args->idx, result);
	/* A peer that hung up in the middle is a result, no failure. */
	if (err == -ECONNRESET)
		err = 0;
	if (!err)
		front_attack_probe(d, result);
	return err;
}

const char *front_attack_name(unsigned i, const char **what)
{
	static const char *(*const part[])(unsigned, const char **) = {
		front_attack_ring_name,
		front_attack_message_name,
		front_attack_setup_name,
	};

	for (unsigned p = 0; p < 3; p++) {
		unsigned n = 0;

		while (part[p](n, what))
			n++;
		if (i < n)
			return part[p](i, what);
		i -= n;
	}
	return NULL;
}
