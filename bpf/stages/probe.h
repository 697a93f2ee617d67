/* SPDX-License-Identifier: GPL-2.0-only */
/* Does somebody ask whether this node lives? The program itself answers: what would not carry packets does not carry this. */
#ifndef ROOKERY_PROBE_H
#define ROOKERY_PROBE_H

#include "stages/decapsulate.h"
#include "stages/wrap.h"

struct probe {
	__u16 padding;                     /* puts IP on a word boundary */
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
	struct geneve_header geneve;
};

enum probe_constant {
	PROBE = sizeof(struct probe) - offsetof(struct probe, ethernet),
};

/* Never from the port at which nodes listen: two of them would answer each other for ever. */
static __always_inline bool is_probe(const struct probe *probe)
{
	return probe->ip.ihl == 5 && !(probe->ip.frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) &&
	       probe->udp.source != bpf_htons(WIRE_GENEVE_PORT) && !probe->geneve.version_and_option_words &&
	       probe->geneve.flags == GENEVE_CONTROL && !probe->geneve.vni_and_reserved;
}

/* Whoever sent it becomes whoever gets it. Sums stay what they are. The frame's ends are the neighbour's and this node's own: it may have
 * been flooded to this node for another one's MAC, as to one that had this address before. */
static __always_inline void turn_round(struct probe *probe, const struct packet *packet)
{
	const __be32 source = probe->ip.saddr;
	const __be16 port = probe->udp.source;

	__builtin_memset(&probe->ethernet, 0, 2 * ETH_ALEN);
	name_ends(&probe->ethernet, packet);
	probe->ip.saddr = probe->ip.daddr;
	probe->ip.daddr = source;
	probe->udp.source = probe->udp.dest;
	probe->udp.dest = port;
}

/* Of what is on the overlay's port, for this node, and no packet of the overlay. `silent`: why it is not answered; CONTINUE: it is. */
static __noinline enum verdict answer_probe(hull_t *hull, struct packet *packet, const struct substrate_config *config,
					    enum verdict silent)
{
	struct probe probe = {};
	enum verdict verdict;

	if (load_bytes(hull, 0, &probe.ethernet, PROBE) || !is_probe(&probe))
		return DROP_MALFORMED_GENEVE;
	if (silent)
		return silent;
	packet->outer_destination = probe.ip.saddr;
	if ((verdict = find_substrate_hop(hull, packet, config)))
		return verdict;
	turn_round(&probe, packet);
	if (!write_head(hull, &probe.ethernet, PROBE))
		return DROP_ENCAPSULATION;
	depart(hull, packet, config->ifindex);
	return ANSWERED;
}

#endif
