/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the packet get outside? As any packet of the internet, from its public address. */
#ifndef ROOKERY_SEND_OUT_H
#define ROOKERY_SEND_OUT_H

#include "stages/decapsulate.h"
#include "stages/readdress.h"
#include "stages/way_out.h"

/* What must be cut is cut by the kernel, which sends it on itself. */
static __always_inline void leave_by(struct packet *packet, const struct uplink_config *uplink,
				     struct bpf_redir_neigh *neighbour)
{
	packet->target = uplink->ifindex;
	packet->action = packet->largest > uplink->mtu ? TC_ACT_UNSPEC :
			 bpf_redirect_neigh(uplink->ifindex, neighbour, sizeof(*neighbour), 0);
}

static __always_inline enum verdict send_out(struct __sk_buff *skb, struct packet *packet, const struct uplink_config *uplink,
					     struct bpf_redir_neigh *neighbour)
{
	enum verdict verdict;

	if ((verdict = readdress(skb, packet, packet->vni, 0)))
		return verdict;
	if ((verdict = unwrap(skb, packet)))
		return verdict;
	tell(packet, STEP_SENT_OUTSIDE, SENT, 0);
	leave_by(packet, uplink, neighbour);
	return SENT;
}

#endif
