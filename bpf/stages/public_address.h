/* SPDX-License-Identifier: GPL-2.0-only */
/* Which public address stands for a private one, and which private one for a public one? */
#ifndef ROOKERY_PUBLIC_ADDRESS_H
#define ROOKERY_PUBLIC_ADDRESS_H

#include "stages/edge_tables.h"
#include "stages/report.h"

static __always_inline const struct translation *public_of(__u32 vni, const struct address *private)
{
	struct mapping_key key = { .vni = vni, .address = *private };

	return bpf_map_lookup_elem(&translations, &key);
}

static __always_inline const struct public *private_of(const struct address *public)
{
	struct public_key key = { .address = *public };

	return bpf_map_lookup_elem(&publics, &key);
}

static __always_inline const struct block *block_of(const struct address *address)
{
	struct block_key key = { .prefix_length = 8 * sizeof(struct address), .address = *address };

	return bpf_map_lookup_elem(&blocks, &key);
}

/* IPv6 addresses are public as they are. From now on the packet has the address that it has outside; its head still has the old
 * one, until readdress(). */
static __always_inline enum verdict find_public_source(struct packet *packet)
{
	const struct translation *translation;

	if (!is_ipv4(&packet->source))
		return CONTINUE;
	translation = public_of(packet->vni, &packet->source);
	if (!translation)
		return DROP_NO_PUBLIC_ADDRESS;
	packet->source = translation->public;
	tell(packet, STEP_SOURCE_TRANSLATED, CONTINUE, translation->interface);
	return CONTINUE;
}

static __always_inline bool find_owner_ipv4(struct packet *packet)
{
	const struct public *public = private_of(&packet->destination);

	if (!public)
		return false;
	packet->vni = public->vni;
	packet->destination = public->private;
	tell(packet, STEP_DESTINATION_TRANSLATED, CONTINUE, public->interface);
	return true;
}

static __always_inline bool find_owner_ipv6(struct packet *packet)
{
	const struct block *block = block_of(&packet->destination);

	if (!block)
		return false;
	packet->vni = block->vni;
	return true;
}

/* Is the destination a public address of a VPC? Then the packet is on its way into that VPC. */
static __noinline bool find_owner(struct packet *packet)
{
	return is_ipv4(&packet->destination) ? find_owner_ipv4(packet) : find_owner_ipv6(packet);
}

static __always_inline bool is_public_address(const struct address *address)
{
	return is_ipv4(address) ? (bool)private_of(address) : (bool)block_of(address);
}

#endif
