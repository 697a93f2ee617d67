/* SPDX-License-Identifier: GPL-2.0-only */
/* Does somebody ask whether this node lives? The program itself answers: what would not carry packets does not carry this. */
#ifndef ROOKERY_PROBE_H
#define ROOKERY_PROBE_H

#include "stages/decapsulate.h"
#include "stages/device.h"

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

/* Whoever sent it becomes whoever gets it. Sums stay what they are. */
static __always_inline void turn_round(struct probe *probe)
{
	const struct ethhdr frame = probe->ethernet;
	const __be32 source = probe->ip.saddr;
	const __be16 port = probe->udp.source;

	__builtin_memcpy(probe->ethernet.h_dest, frame.h_source, ETH_ALEN);
	__builtin_memcpy(probe->ethernet.h_source, frame.h_dest, ETH_ALEN);
	probe->ip.saddr = probe->ip.daddr;
	probe->ip.daddr = source;
	probe->udp.source = probe->udp.dest;
	probe->udp.dest = port;
}

/* Of what is on the overlay's port, for this node, and no packet of the overlay. */
static __noinline enum verdict answer_probe(struct __sk_buff *skb, struct packet *packet, bool silent)
{
	struct probe probe = {};

	if (bpf_skb_load_bytes(skb, 0, &probe.ethernet, PROBE) || !is_probe(&probe))
		return DROP_MALFORMED_GENEVE;
	if (silent)
		return DROP_NOT_CONFIGURED;
	turn_round(&probe);
	if (!write_head(skb, &probe.ethernet, PROBE))
		return DROP_ENCAPSULATION;
	return send_back(skb, packet);
}

#endif
