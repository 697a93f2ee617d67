/* SPDX-License-Identifier: GPL-2.0-only */
/* Does a host ask whether this edge lives? One without an uplink, or about to go, keeps silent. */
#ifndef ROOKERY_REFLECT_H
#define ROOKERY_REFLECT_H

#include "stages/probe.h"
#include "stages/uplink.h"

static __always_inline enum verdict reflect(struct __sk_buff *skb, struct packet *packet)
{
	const struct uplink_config *uplink = find_uplink();

	return answer_probe(skb, packet, !uplink || uplink->flags & UPLINK_CLOSING);
}

#endif
