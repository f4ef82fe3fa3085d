// SPDX-License-Identifier: Apache-2.0
/*
 * Tell the service manager how we are: the datagram protocol of sd_notify(3), without libsystemd.
 * Called by main.c.
 */
#ifndef EVB_DAEMON_NOTIFY_H
#define EVB_DAEMON_NOTIFY_H

/* Send `state` ("READY=1") to $NOTIFY_SOCKET, if there is one. Failure changes nothing for us. */
void notify_state(const char *state);

#endif
