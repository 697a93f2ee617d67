/* SPDX-License-Identifier: GPL-2.0-only */
/* To which flow does a later fragment belong? It carries no ports: those of the first one are kept. */
#ifndef ROOKERY_FRAGMENT_H
#define ROOKERY_FRAGMENT_H

#include "stages/gate.h"
#include "stages/host_tables.h"

enum fragment_constant {
	FRAGMENT_SECONDS = 30,             /* RFC 791: a receiver gives up an unfinished packet after some such time */
};

static __always_inline void fragment_key_of(const struct packet *packet, enum direction direction,
					    struct fragment_key *key)
{
	key->vni = packet->vni;
	key->identification = packet->identification;
	key->source = packet->source;
	key->destination = packet->destination;
	key->protocol = packet->protocol;
	key->direction = direction;
}

static __always_inline __u32 seconds_now(void)
{
	return bpf_ktime_get_coarse_ns() / SECOND;
}

static __always_inline void keep_ports(const struct packet *packet, const struct fragment_key *key)
{
	struct fragment_ports ports = { .source = packet->source_port, .destination = rule_port(packet),
					.seen = seconds_now() };

	if (!packet->what_if)
		bpf_map_update_elem(&fragments, key, &ports, BPF_ANY);
}

static __always_inline void take_ports(struct packet *packet, const struct fragment_ports *ports)
{
	packet->source_port = ports->source;
	if (carries_icmp(&packet->source, packet->protocol)) {
		packet->icmp_type = bpf_ntohs(ports->destination) >> 8;
		packet->icmp_code = bpf_ntohs(ports->destination);
		return;
	}
	packet->destination_port = ports->destination;
}

/* Each gate keeps its own: what one has seen, the other need not have. */
static __noinline enum verdict follow_first(struct packet *packet, enum direction direction)
{
	const struct fragment_ports *ports;
	struct fragment_key key = {};

	fragment_key_of(packet, direction, &key);
	if (packet->fragment == FRAGMENT_FIRST) {
		keep_ports(packet, &key);
		return CONTINUE;
	}
	ports = bpf_map_lookup_elem(&fragments, &key);
	if (!ports || seconds_now() - ports->seen > FRAGMENT_SECONDS)
		return DROP_UNKNOWN_FRAGMENT;
	take_ports(packet, ports);
	return CONTINUE;
}

static __always_inline enum verdict find_fragment(struct packet *packet, enum direction direction)
{
	if (packet->fragment == FRAGMENT_NONE || !has_ports(&packet->source, packet->protocol))
		return CONTINUE;
	return follow_first(packet, direction);
}

#endif
