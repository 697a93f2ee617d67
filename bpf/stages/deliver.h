/* SPDX-License-Identifier: GPL-2.0-only */
/* Which instance of this host gets it? */
#ifndef ROOKERY_DELIVER_H
#define ROOKERY_DELIVER_H

#include "stages/device.h"
#include "stages/interface.h"
#include "stages/verify.h"

/* The number of the interface that has the destination's address here; 0: none. */
static __always_inline __u32 owner_here(const struct packet *packet, const struct substrate_config *config)
{
	const struct mapping *mapping = mapping_of(packet->vni, &packet->destination);

	return mapping && mapping->host == config->address ? mapping->interface : 0;
}

/* A route leads to this interface: what is not for itself it takes only with its check off. And only of its own VPC, for
 * no route leads across a peering to an interface. */
static __always_inline enum verdict check_destination(const struct packet *packet, const struct substrate_config *config,
						      const struct local_interface *local)
{
	if (!(local->flags & INTERFACE_SOURCE_DEST_CHECK) && packet->origin_vni == packet->vni)
		return CONTINUE;
	return owner_here(packet, config) == packet->led_to ? CONTINUE : DROP_DESTINATION_CHECK;
}

static __always_inline enum verdict find_destination(struct packet *packet, const struct substrate_config *config,
						     const struct local_interface **found)
{
	struct local_interface_key key = { .vni = packet->vni };
	enum verdict verdict;

	key.interface = packet->led_to ? packet->led_to : owner_here(packet, config);
	if (!key.interface)
		return DROP_DESTINATION_NOT_HERE;
	packet->receiver = key.interface;
	*found = bpf_map_lookup_elem(&local_interfaces, &key);
	if (!*found)
		return DROP_DESTINATION_NOT_HERE;
	packet->ifindex = (*found)->ifindex;
	if (packet->led_to && (verdict = check_destination(packet, config, *found)))
		return verdict;
	return packet->largest > (*found)->mtu ? DROP_TOO_BIG : CONTINUE;
}

/* Both MACs come from this host's own tables: within a subnet the sender's, across subnets the router's. */
static __always_inline void write_ethernet(struct ethhdr *ethernet, const struct packet *packet,
					   const struct sender *sender, const struct local_interface *local)
{
	const __u8 *from = is_neighbour(packet, sender, local) ? sender->mac : local->router_mac;

	__builtin_memcpy(ethernet->h_dest, local->mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, from, ETH_ALEN);
	ethernet->h_proto = packet->head.frame.h_proto;
}

static __always_inline enum verdict deliver(struct __sk_buff *skb, struct packet *packet,
					    const struct sender *sender, const struct local_interface *local)
{
	struct head head;

	write_ethernet(&head.frame, packet, sender, local);
	if (!write_head(skb, &head.frame, sizeof(head.frame)))
		return DROP_DECAPSULATION;
	tell(packet, STEP_DELIVERED, DELIVERED, 0);
	hand_over(packet, local->ifindex, local->flags);
	return DELIVERED;
}

#endif
