/* SPDX-License-Identifier: GPL-2.0-only */
/* What do the gates of an interface have in common? Each looks at the packet from the instance's side. */
#ifndef ROOKERY_GATE_H
#define ROOKERY_GATE_H

#include "stages/report.h"

#define SECOND 1000000000ULL

static __always_inline void enter_gate(struct packet *packet, enum direction direction, __u64 list)
{
	packet->direction = direction;
	packet->list = list;
	packet->rule = RULE_NONE;
}

/* What is told later on is not of this gate. */
static __always_inline void leave_gate(struct packet *packet)
{
	packet->direction = 0;
	packet->list = 0;
	packet->rule = RULE_NONE;
}

static __always_inline bool has_ports(const struct address *address, __u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || carries_icmp(address, protocol);
}

/* What rules call a port. */
static __always_inline __be16 rule_port(const struct packet *packet)
{
	if (carries_icmp(&packet->source, packet->protocol))
		return bpf_htons((__u16)packet->icmp_type << 8 | packet->icmp_code);
	return packet->destination_port;
}

static __always_inline enum open_family family_of(const struct packet *packet)
{
	return is_ipv4(&packet->source) ? OPEN_IPV4 : OPEN_IPV6;
}

static __always_inline const struct address *remote_of(const struct packet *packet)
{
	return packet->direction == EGRESS ? &packet->destination : &packet->source;
}

#endif
