/* SPDX-License-Identifier: GPL-2.0-only */
/* Into a VPC: TC ingress of an edge's uplink. */
#include "stages/encapsulate.h"
#include "stages/outsider.h"
#include "stages/own_uplink.h"
#include "stages/parse.h"
#include "stages/public_address.h"
#include "stages/readdress.h"
#include "stages/substrate.h"
#include "stages/unicast.h"
#include "stages/way_in.h"

char program_license[] SEC("license") = "GPL";

static __always_inline enum verdict lead_in(struct __sk_buff *skb, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	struct next_hop hop = {};
	enum verdict verdict;

	if (!carries_ip(skb)) return NOT_OURS;
	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if (is_neighbour_discovery(packet)) return NOT_OURS;
	if (!config) return DROP_NOT_CONFIGURED;
	if (!find_owner(packet)) return leave_uplink_to_kernel(skb, packet, config);
	if ((verdict = refuse_private_source(packet, config))) return verdict;
	if ((verdict = find_way_in(packet, config, &hop))) return verdict;
	if (!has_way(packet, config)) return DROP_NOT_CONFIGURED;
	if ((verdict = readdress(skb, packet, 0, packet->vni))) return verdict;
	return encapsulate(skb, packet, &hop, config);
}

SEC("tc")
int blackfoot_inward(struct __sk_buff *skb)
{
	struct packet *packet = blank_packet();

	if (!packet) return TC_ACT_SHOT;
	begin(skb, packet, BLACKFOOT_INWARD);
	return finish(skb, packet, lead_in(skb, packet));
}
