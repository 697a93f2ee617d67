/* SPDX-License-Identifier: GPL-2.0-only */
/* Out of a VPC: TC ingress of an edge's substrate device. */
#include "stages/decapsulate.h"
#include "stages/gateway.h"
#include "stages/outsider.h"
#include "stages/own_substrate.h"
#include "stages/parse.h"
#include "stages/public_address.h"
#include "stages/reflect.h"
#include "stages/send_out.h"
#include "stages/substrate.h"
#include "stages/turn_back.h"
#include "stages/unicast.h"
#include "stages/verify.h"

char program_license[] SEC("license") = "GPL";

/* What is no packet of the overlay. */
static __always_inline enum verdict set_aside(struct __sk_buff *skb, struct packet *packet,
					      const struct substrate_config *config, enum verdict verdict)
{
	if (verdict == NOT_OURS)
		return leave_substrate_to_kernel(skb, config);
	return verdict == DROP_MALFORMED_GENEVE ? reflect(skb, packet) : verdict;
}

static __always_inline enum verdict lead_out(struct __sk_buff *skb, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	const struct uplink_config *uplink = find_uplink();
	struct bpf_redir_neigh neighbour = {};
	struct sender sender = {};
	enum verdict verdict;

	if ((verdict = parse_outer(skb, packet, config))) return set_aside(skb, packet, config, verdict);
	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if ((verdict = refuse_neighbour_discovery(packet))) return verdict;
	if ((verdict = refuse_own_source(packet, config))) return verdict;
	if ((verdict = verify_interface(packet, &sender))) return verdict;
	if (!gateway_of(packet, gateways_of(&packet->source))) return DROP_NO_GATEWAY;
	if ((verdict = refuse_private_destination(packet, config))) return verdict;
	if ((verdict = find_public_source(packet))) return verdict;
	if (find_owner(packet)) return turn_back(skb, packet, config);
	if (!uplink) return DROP_NOT_CONFIGURED;
	if ((verdict = find_way_out(skb, packet, uplink, &neighbour))) return verdict;
	return send_out(skb, packet, uplink, &neighbour);
}

SEC("tc")
int blackfoot_outward(struct __sk_buff *skb)
{
	struct packet *packet = blank_packet();

	if (!packet) return TC_ACT_SHOT;
	begin(skb, packet, BLACKFOOT_OUTWARD);
	return finish(skb, packet, lead_out(skb, packet));
}
