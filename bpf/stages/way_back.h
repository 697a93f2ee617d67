/* SPDX-License-Identifier: GPL-2.0-only */
/* Did the flow come through a cell, with its client's own address? Then its answers go back there, whatever the routes say: the
 * client waits for the balancer's. */
#ifndef ROOKERY_WAY_BACK_H
#define ROOKERY_WAY_BACK_H

#include "stages/related.h"
#include "stages/route.h"

/* The interface at a cell that passed the flow on; 0: none did, as for every flow but those. */
static __always_inline __u32 came_through(struct packet *packet, const struct connection *flow)
{
	if (!flow || !flow->attachment)
		return 0;
	return is_over(flow, coarse_now(packet)) || is_reopened(flow, packet) ? 0 : flow->attachment;
}

/* The error is about what came through a cell. */
static __noinline __u32 quoted_came_through(struct __sk_buff *skb, const struct packet *packet, __u32 interface)
{
	const struct connection *flow = quoted_flow(skb, packet, EGRESS, interface);

	return flow ? flow->attachment : 0;
}

static __noinline enum verdict go_back(struct packet *packet, __u32 attachment, struct next_hop *hop)
{
	return to_forwarder(packet, attachment, hop);
}

/* `flow`: the packet's, as the interface's gate tracks it; 0: it does not. */
static __always_inline enum verdict find_way(struct __sk_buff *skb, struct packet *packet,
					     const struct interface_config *interface, const struct connection *flow,
					     struct next_hop *hop)
{
	__u32 attachment = came_through(packet, flow);

	if (quotes(packet))
		attachment = quoted_came_through(skb, packet, interface->interface);
	return attachment ? go_back(packet, attachment, hop) : find_next_hop(packet, interface, hop);
}

#endif
