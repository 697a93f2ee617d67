/* SPDX-License-Identifier: GPL-2.0-only */
/* Which instance of this host gets it? */
#ifndef ROOKERY_DELIVER_H
#define ROOKERY_DELIVER_H

#include "stages/mapping.h"

static __always_inline enum verdict find_destination(struct packet *packet, const struct substrate_config *config,
						     const struct local_interface **found)
{
	const struct mapping *mapping = mapping_of(packet, &packet->destination);
	struct local_interface_key key = { .vni = packet->vni };

	if (!mapping || mapping->host != config->address)
		return DROP_DESTINATION_NOT_HERE;
	key.interface = mapping->interface;
	*found = bpf_map_lookup_elem(&local_interfaces, &key);
	if (!*found)
		return DROP_DESTINATION_NOT_HERE;
	packet->ifindex = (*found)->ifindex;
	return packet->largest > (*found)->mtu ? DROP_TOO_BIG : CONTINUE;
}

/* Both MACs come from this host's own tables: within a subnet the peer's, across subnets the router's. */
static __always_inline void write_ethernet(struct ethhdr *ethernet, const struct packet *packet,
					   const struct mapping *source, const struct local_interface *local)
{
	const __u8 *from = source->subnet == local->subnet ? source->mac : local->router_mac;

	__builtin_memcpy(ethernet->h_dest, local->mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, from, ETH_ALEN);
	ethernet->h_proto = packet->head.frame.h_proto;
}

static __always_inline enum verdict deliver(struct __sk_buff *skb, struct packet *packet,
					    const struct mapping *source, const struct local_interface *local)
{
	struct head head;

	write_ethernet(&head.frame, packet, source, local);
	if (!write_head(skb, &head.frame, sizeof(head.frame)))
		return DROP_DECAPSULATION;
	tell(packet, STEP_DELIVERED, DELIVERED, 0);
	packet->target = local->ifindex;
	packet->action = local->flags & INTERFACE_NO_PEER ? bpf_redirect(local->ifindex, 0) :
							    bpf_redirect_peer(local->ifindex, 0);
	return DELIVERED;
}

#endif
