/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this a packet of the overlay, for this host, in a form we accept? Then the inner frame is looked at in place. */
#ifndef ROOKERY_DECAPSULATE_H
#define ROOKERY_DECAPSULATE_H

#include "hull/room.h"
#include "stages/parse.h"
#include "stages/wrapping.h"

enum geneve_constant {
	OPTIONS_BEGIN = offsetof(struct wrapping, origin) - offsetof(struct wrapping, ethernet),
	OUTER_HEAD = OPTIONS_BEGIN + sizeof(struct origin_option),
	GENEVE_VERSION = 0xc0,
	GENEVE_OPTION_WORDS = 0x3f,
	GENEVE_CONTROL = 0x80,
	GENEVE_OPTION_LENGTH = 0x1f,
	GENEVE_OPTIONS_MAX = 63,
	ORIGIN_WORDS = (sizeof(struct origin_option) - sizeof(struct geneve_option)) / 4,
};

/* IP options push UDP out of place. */
static __always_inline bool find_udp(hull_t *hull, struct wrapping *outer, __u32 present)
{
	if (outer->ip.ihl == 5)
		return present >= ETH_HLEN + sizeof(outer->ip) + sizeof(outer->udp);
	return !load_bytes(hull, ETH_HLEN + outer->ip.ihl * 4, &outer->udp, sizeof(outer->udp));
}

/* TC sees every frame of the device: whatever is not plainly the overlay's is the kernel's. */
static __always_inline bool is_overlay(hull_t *hull, struct wrapping *outer, __u32 present)
{
	if (present < ETH_HLEN + sizeof(outer->ip) || is_tagged(hull))
		return false;
	if (outer->ethernet.h_proto != bpf_htons(ETH_P_IP) || outer->ip.version != 4 || outer->ip.ihl < 5)
		return false;
	if (outer->ip.protocol != IPPROTO_UDP || outer->ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return false;
	return find_udp(hull, outer, present) && outer->udp.dest == bpf_htons(WIRE_GENEVE_PORT);
}

/* Frames for other hosts come along where a switch floods. A host without a configuration does not know which are its own:
 * it takes none, and leaves the rest alone, for its configuration comes over this device. */
static __always_inline enum verdict check_host(const struct packet *packet, const struct substrate_config *config)
{
	if (!config)
		return DROP_NOT_CONFIGURED;
	return packet->outer_destination == config->address ? CONTINUE : NOT_OURS;
}

/* Lengths of a super-packet are not those of any packet on a wire: the kernel made it. */
static __always_inline enum verdict check_lengths(hull_t *hull, const struct wrapping *outer)
{
	__u32 total = bpf_ntohs(outer->ip.tot_len), present = length_of(hull) - ETH_HLEN;

	if (segment_of(hull))
		return CONTINUE;
	if (total > present)
		return DROP_TRUNCATED;
	if (total < present || bpf_ntohs(outer->udp.len) + sizeof(outer->ip) != total)
		return DROP_MALFORMED_GENEVE;
	return CONTINUE;
}

/* Hosts send no IP options, no fragments and no UDP checksum: what has one was not sent by a host. */
static __always_inline enum verdict check_outer(hull_t *hull, const struct wrapping *outer)
{
	if (outer->ip.ihl != 5 || outer->ip.frag_off & bpf_htons(IP_MORE_FRAGMENTS) || outer->udp.check)
		return DROP_MALFORMED_GENEVE;
	return check_lengths(hull, outer);
}

static __always_inline enum verdict check_geneve(const struct geneve_header *geneve)
{
	if (geneve->version_and_option_words & GENEVE_VERSION || geneve->flags & GENEVE_CONTROL)
		return DROP_MALFORMED_GENEVE;
	if (geneve->inner_protocol != bpf_htons(WIRE_INNER_ETHERNET))
		return DROP_MALFORMED_GENEVE;
	return CONTINUE;
}

static __always_inline bool is_origin(const struct geneve_option *option)
{
	return option->option_class == bpf_htons(WIRE_OPTION_CLASS) && option->type == WIRE_OPTION_ORIGIN;
}

/* Exactly one origin option, of the right size; other options are skipped unless they are critical. */
static __always_inline enum verdict walk_options(hull_t *hull, __u32 offset, __u32 end,
						 struct origin_option *origin)
{
	struct geneve_option option;
	__u32 origins = 0;

	for (__u32 i = 0; i < GENEVE_OPTIONS_MAX && offset < end; i++) {
		__u32 words;

		if (load_bytes(hull, offset, &option, sizeof(option)))
			return DROP_TRUNCATED;
		words = option.length_words & GENEVE_OPTION_LENGTH;
		offset += sizeof(option) + words * 4;
		if (offset > end)
			return DROP_MALFORMED_GENEVE;
		if (option.type & WIRE_OPTION_CRITICAL)
			return DROP_UNKNOWN_OPTION;
		if (!is_origin(&option))
			continue;
		if (words != ORIGIN_WORDS || origins++)
			return DROP_MALFORMED_GENEVE;
		if (load_bytes(hull, offset - sizeof(*origin), origin, sizeof(*origin)))
			return DROP_TRUNCATED;
	}
	return origins ? CONTINUE : DROP_MALFORMED_GENEVE;
}

static __always_inline enum verdict find_origin(hull_t *hull, struct packet *packet, struct wrapping *outer)
{
	__u32 words = outer->geneve.version_and_option_words & GENEVE_OPTION_WORDS;

	packet->offset = OPTIONS_BEGIN + words * 4;
	if (packet->offset > packet->length)
		return DROP_TRUNCATED;
	/* What every host of today sends. */
	if (words * 4 == sizeof(outer->origin) && is_origin(&outer->origin.header) &&
	    (outer->origin.header.length_words & GENEVE_OPTION_LENGTH) == ORIGIN_WORDS)
		return CONTINUE;
	return walk_options(hull, OPTIONS_BEGIN, packet->offset, &outer->origin);
}

static __always_inline void read_origin(struct packet *packet, const struct origin_option *origin)
{
	packet->origin_interface = bpf_ntohl(origin->interface);
	packet->origin_vni = bpf_ntohl(origin->vni_and_reserved) >> 8;
	packet->led_to = bpf_ntohl(origin->target);
}

static __always_inline enum verdict parse_outer(hull_t *hull, struct packet *packet,
					   const struct substrate_config *config)
{
	struct wrapping outer = {};
	__u32 present = copy_head(hull, 0, &outer.ethernet, OUTER_HEAD);
	enum verdict verdict;

	if (!is_overlay(hull, &outer, present))
		return NOT_OURS;
	packet->outer_source = outer.ip.saddr;
	packet->outer_destination = outer.ip.daddr;
	if ((verdict = check_host(packet, config)))
		return verdict;
	if ((verdict = check_outer(hull, &outer)))
		return verdict;
	if (present < OPTIONS_BEGIN)
		return DROP_TRUNCATED;
	packet->vni = bpf_ntohl(outer.geneve.vni_and_reserved) >> 8;
	if ((verdict = check_geneve(&outer.geneve)))
		return verdict;
	verdict = find_origin(hull, packet, &outer);
	read_origin(packet, &outer.origin);
	return verdict;
}

static __always_inline enum verdict unwrap(hull_t *hull, struct packet *packet)
{
	if (!shrink(hull, packet))
		return DROP_DECAPSULATION;
	tell(packet, STEP_UNWRAPPED, CONTINUE, 0);
	return CONTINUE;
}

#endif
