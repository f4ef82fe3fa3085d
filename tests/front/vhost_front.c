// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_front: a VMM and its guest, by hand. Reads commands from stdin, one a line, and answers
 * each with one line of JSON, {"ok":true,…} or {"ok":false,"error":"…"}. Ends when stdin does.
 * Numbers are decimal, or hex with 0x; PAIR counts from 0, ring 2i is where pair i receives, 2i+1
 * where it sends.
 *
 * Connection
 *   connect PATH [timeout_ms=]        the back-end listens
 *   listen PATH; accept [timeout_ms=] the back-end connects
 *   fd N                              an inherited socket
 *   disconnect
 * Setting up
 *   features HEX|all                  wanted, "all": whatever is offered (VERSION_1, MRG_RXBUF, …)
 *   protocol HEX                      wanted protocol features
 *   setup KEY=VALUE…                  negotiate, make memory and rings, tell the back-end:
 *     queues= rx_size= tx_size= size=   pairs and sizes of rings (1, 256)
 *     packed= event_idx= indirect= mrg= in_order= offload= mq=   0|1, bits of the wanted features
 *     mem= regions= hole= base= one_file= huge= sealed=          guest memory (octets, …)
 *     order=qemu|cloud_hypervisor|crosvm|virtio_user|STEPS       see front_dev.h for the letters
 *     rx_buf= rx_layout= rx_indirect=                            receive buffers, cut as in `send`
 *     need_reply= add_regions= no_call= no_kick= tight= id_last= strict=
 *   negotiate KEY=VALUE…; make; steps STEPS    the parts of it
 *   enable RING 0|1
 *   stop                              disable and GET_VRING_BASE all; the bases
 *   resume from=base|used|avail|zero  again, in the configured order
 *   reconnect from=…                  a new connection, the same features, then as resume
 *   add_region gpa= size=; remove_region N
 * Frames
 *   send HEX [pair=] [count=] [pad=N] [timeout_ms=] [hold=1]
 *        [flags= gso=tcp4|tcp6|udp|N gso_size= hdr_len= csum_start= csum_offset=]
 *        [layout=12,5*]               descriptors of 12, then 5 octets until all is out ("*");
 *                                     without "*" the rest is the last one
 *        [indirect=1|tail] [straddle=SEAM]
 *   flush [pair=]                     publish what was held, and kick
 *   drain [pair=] [timeout_ms=]       until all transmit buffers are back
 *   recv [pair=] [max=] [timeout_ms=] [refill=0]   frames, with header and number of buffers
 *   expect HEX|none [pair=] [timeout_ms=]          the next frame begins so, or there is none
 *   refill [pair=]
 * Messages
 *   msg NAME [u64=] [idx= num=] [hex=] [file=event|mem|null] [need_reply=1]     and its reply
 *   raw HEX
 *   log start|stop|clear|count|dirty gpa= size=
 *   hostile NAME [ring=1] [wait_ms=] [count=]      one attack of the catalogue; what came of it
 *   attacks                           their names
 *   probe                             does the back-end still answer
 *   peek GPA N; poke GPA HEX; shrink REGION SIZE
 *   ring RING                         indices, addresses, notifications
 *   stats
 *   quit
 */
#include "vhost_front.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int shell_fail(struct shell *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, sizeof(s->error), format, ap);
	va_end(ap);
	return -EINVAL;
}

int shell_dev(struct shell *s, int err)
{
	if (err < 0)
		snprintf(s->error, sizeof(s->error), "%s", s->dev.error);
	return err < 0 ? err : 0;
}

const char *shell_plain(const struct shell *s, unsigned i)
{
	for (unsigned k = 1; k < s->n_words; k++)
		if (!strchr(s->word[k], '=') && i-- == 0)
			return s->word[k];
	return NULL;
}

const char *shell_value(const struct shell *s, const char *key)
{
	size_t n = strlen(key);

	for (unsigned k = 1; k < s->n_words; k++)
		if (!strncmp(s->word[k], key, n) && s->word[k][n] == '=')
			return s->word[k] + n + 1;
	return NULL;
}

uint64_t shell_number(const struct shell *s, const char *key, uint64_t otherwise)
{
	const char *value = shell_value(s, key);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

int shell_octets(const char *hex, uint8_t *octets, unsigned room)
{
	unsigned n = 0;

	while (hex && *hex) {
		unsigned v;
		int used;

		if (*hex == ':') {
			hex++;
			continue;
		}
		if (n == room || sscanf(hex, "%2x%n", &v, &used) != 1 || used != 2)
			return -1;
		octets[n++] = (uint8_t)v;
		hex += 2;
	}
	return (int)n;
}

void shell_hex(FILE *out, const uint8_t *octets, size_t size)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		putc(digit[octets[i] >> 4], out);
		putc(digit[octets[i] & 15], out);
	}
}

void shell_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc((unsigned char)*text < 0x20 ? ' ' : *text, out);
	}
	putc('"', out);
}

bool shell_layout(struct shell *s, struct front_layout *l, const char *cuts, const char *how)
{
	l->n_cuts = 0;
	l->repeat_last = false;
	while (cuts && *cuts) {
		char *end;

		if (l->n_cuts == FRONT_CUTS_MAX)
			return false;
		l->cut[l->n_cuts++] = (uint32_t)strtoul(cuts, &end, 0);
		if (end == cuts || !l->cut[l->n_cuts - 1])
			return false;
		l->repeat_last = *end == '*';
		cuts = end + (*end == '*');
		if (*cuts && *cuts++ != ',')
			return false;
	}
	l->how = !how || !strcmp(how, "0") ? FRONT_DIRECT :
		 !strcmp(how, "tail")	   ? FRONT_TAIL_TABLE :
					     FRONT_IN_TABLE;
	return true;
}

static const struct command *find(const struct command *c, const char *name)
{
	while (c->name && strcmp(c->name, name) != 0)
		c++;
	return c->name ? c : NULL;
}

static int run(struct shell *s)
{
	const struct command *c = find(control_commands, s->word[0]);

	if (!c)
		c = find(frame_commands, s->word[0]);
	if (!c)
		return shell_fail(s, "there is no command %s", s->word[0]);
	return c->run(s);
}

/* One line; false when it says quit. */
static bool line_run(struct shell *s, char *line)
{
	char *members = NULL, *at = NULL;
	size_t size;
	int err = 0;

	s->n_words = 0;
	s->error[0] = '\0';
	for (char *w = strtok_r(line, " \t\r\n", &at); w && s->n_words < WORDS_MAX;
	     w = strtok_r(NULL, " \t\r\n", &at))
		s->word[s->n_words++] = w;
	if (!s->n_words || s->word[0][0] == '#')
		return true;
	s->out = open_memstream(&members, &size);
	if (!s->out)
		return false;
	if (strcmp(s->word[0], "quit") != 0)
		err = run(s);
	fclose(s->out);
	if (err) {
		printf("{\"ok\":false,\"error\":");
		shell_text(stdout, s->error[0] ? s->error : strerror(-err));
		printf(",\"errno\":%d}\n", -err);
	} else {
		printf("{\"ok\":true%s}\n", members);
	}
	fflush(stdout);
	free(members);
	return strcmp(s->word[0], "quit") != 0;
}

int main(void)
{
	static struct shell s;
	char *line = NULL;
	size_t room = 0;

	s.config.features = FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_MRG_RXBUF);
	front_dev_init(&s.dev, &s.config);
	while (getline(&line, &room, stdin) > 0)
		if (!line_run(&s, line))
			break;
	free(line);
	front_dev_close(&s.dev);
	return 0;
}
