/* SPDX-License-Identifier: GPL-2.0-only */
/* Who sent it? The sender's host only claims something, until this host's own tables agree. */
#ifndef ROOKERY_VERIFY_H
#define ROOKERY_VERIFY_H

#include "stages/from_top.h"
#include "stages/mapping.h"

/* The interface that sent the packet, as this host's tables know it. */
struct sender {
	__u64 group_set;                   /* 0: an appliance speaks for others, whose groups did not send this */
	__u32 subnet;
	__u8 mac[6];
};

static __always_inline enum verdict check_peering(const struct packet *packet)
{
	struct peering_key key = { .vni = packet->vni, .peer = packet->origin_vni };

	if (packet->origin_vni == packet->vni)
		return CONTINUE;
	return bpf_map_lookup_elem(&peerings, &key) ? CONTINUE : DROP_NOT_PEERED;
}

/* Of `host` and `flags` of a row: at one host, or at any node of a set. */
static __always_inline bool lives_at_sender(const struct packet *packet, __be32 host, __u32 flags)
{
	return flags & INTERFACE_AT_CELL ? is_top(host, packet->outer_source) : host == packet->outer_source;
}

static __always_inline bool speaks_for_itself(const struct packet *packet, const struct mapping *source)
{
	return source->interface == packet->origin_interface && lives_at_sender(packet, source->host, source->flags);
}

/* An appliance passes on what others sent: its own place is verified instead of theirs. */
static __always_inline bool speaks_for_others(const struct packet *packet, const struct forwarder *forwarder)
{
	return forwarder && !(forwarder->flags & INTERFACE_SOURCE_DEST_CHECK) &&
	       lives_at_sender(packet, forwarder->host, forwarder->flags);
}

/* What it passes on with the sender's own address is answered through it: only within its VPC does that work. */
static __always_inline void pass_on_from_cell(struct packet *packet, struct sender *sender, const struct forwarder *forwarder)
{
	packet->at_cell = true;
	packet->attachment = packet->origin_vni == packet->vni ? packet->origin_interface : 0;
	sender->group_set = forwarder->group_set;
	tell(packet, STEP_FROM_TOP, CONTINUE, packet->origin_interface);
}

static __always_inline enum verdict verify_forwarder(struct packet *packet, struct sender *sender)
{
	const struct forwarder *forwarder = forwarder_of(packet->origin_vni, packet->origin_interface);

	if (!speaks_for_others(packet, forwarder))
		return DROP_SOURCE_NOT_AT_HOST;
	sender->subnet = forwarder->subnet;
	__builtin_memcpy(sender->mac, forwarder->mac, ETH_ALEN);
	if (forwarder->flags & INTERFACE_AT_CELL)
		pass_on_from_cell(packet, sender, forwarder);
	else
		tell(packet, STEP_FORWARDED, CONTINUE, packet->origin_interface);
	return CONTINUE;
}

/* What an interface sent. */
static __always_inline enum verdict verify_interface(struct packet *packet, struct sender *sender)
{
	const struct mapping *source;
	enum verdict verdict;

	if ((verdict = check_peering(packet)))
		return verdict;
	source = mapping_of(packet->origin_vni, &packet->source);
	if (!source || !speaks_for_itself(packet, source)) {
		verdict = verify_forwarder(packet, sender);
		return verdict && !source ? DROP_SOURCE_NOT_MAPPED : verdict;
	}
	sender->group_set = source->group_set;
	sender->subnet = source->subnet;
	__builtin_memcpy(sender->mac, source->mac, ETH_ALEN);
	if (source->flags & INTERFACE_AT_CELL) {
		packet->at_cell = true;
		tell(packet, STEP_FROM_TOP, CONTINUE, packet->origin_interface);
		return CONTINUE;
	}
	tell(packet, STEP_VERIFIED, CONTINUE, source->generation);
	return CONTINUE;
}

/* No packet of this host comes back to it over the substrate: who says so wants to pass for a local instance. */
static __always_inline enum verdict refuse_own_source(const struct packet *packet, const struct substrate_config *config)
{
	return packet->outer_source == config->address ? DROP_SOURCE_NOT_AT_HOST : CONTINUE;
}

/* Both in one subnet: no border between them. A peer's subnet never is. */
static __always_inline bool is_neighbour(const struct packet *packet, const struct sender *sender,
					 const struct local_interface *local)
{
	return packet->origin_vni == packet->vni && sender->subnet == local->subnet;
}

#endif
