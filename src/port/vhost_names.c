// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "types.h"
#include "vhost_user.h"

const char *vhost_user_feature_name(unsigned bit)
{
	static const char *const names[] = {
		[0] = "csum",
		[1] = "guest_csum",
		[2] = "ctrl_guest_offloads",
		[3] = "mtu",
		[5] = "mac",
		[6] = "gso",
		[7] = "guest_tso4",
		[8] = "guest_tso6",
		[9] = "guest_ecn",
		[10] = "guest_ufo",
		[11] = "host_tso4",
		[12] = "host_tso6",
		[13] = "host_ecn",
		[14] = "host_ufo",
		[15] = "mrg_rxbuf",
		[16] = "status",
		[17] = "ctrl_vq",
		[18] = "ctrl_rx",
		[19] = "ctrl_vlan",
		[20] = "ctrl_rx_extra",
		[21] = "guest_announce",
		[22] = "mq",
		[23] = "ctrl_mac_addr",
		[24] = "notify_on_empty",
		[26] = "log_all",
		[27] = "any_layout",
		[28] = "indirect_desc",
		[29] = "event_idx",
		[30] = "protocol_features",
		[32] = "version_1",
		[33] = "iommu_platform",
		[34] = "ring_packed",
		[35] = "in_order",
		[36] = "order_platform",
		[37] = "sr_iov",
		[38] = "notification_data",
		[40] = "ring_reset",
		[54] = "guest_uso4",
		[55] = "guest_uso6",
		[56] = "host_uso",
		[57] = "hash_report",
		[60] = "rss",
		[61] = "rsc_ext",
		[62] = "standby",
		[63] = "speed_duplex",
	};

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}

const char *vhost_user_protocol_feature_name(unsigned bit)
{
	static const char *const names[] = {
		[0] = "mq",
		[1] = "log_shmfd",
		[2] = "rarp",
		[3] = "reply_ack",
		[4] = "net_mtu",
		[5] = "backend_req",
		[9] = "config",
		[12] = "inflight_shmfd",
		[13] = "reset_device",
		[15] = "configure_mem_slots",
		[16] = "status",
	};

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}
