/* SPDX-License-Identifier: GPL-2.0-only */
/* Out of a VPC: ingress of an edge's substrate device. Built twice, for TC and for XDP (tc/hull, xdp/hull). */
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
static __always_inline enum verdict set_aside(hull_t *hull, struct packet *packet,
					      const struct substrate_config *config, enum verdict verdict)
{
	if (verdict == NOT_OURS)
		return leave_substrate_to_kernel(hull, config);
	return verdict == DROP_MALFORMED_GENEVE ? reflect(hull, packet, config) : verdict;
}

static __always_inline enum verdict lead_out(hull_t *hull, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	const struct uplink_config *uplink = find_uplink();
	struct sender sender = {};
	enum verdict verdict;

	if ((verdict = parse_outer(hull, packet, config))) return set_aside(hull, packet, config, verdict);
	if ((verdict = parse_ethernet(hull, packet))) return verdict;
	if ((verdict = parse_ip(hull, packet))) return verdict;
	if ((verdict = refuse_neighbour_discovery(packet))) return verdict;
	if ((verdict = refuse_own_source(packet, config))) return verdict;
	if ((verdict = verify_interface(packet, &sender))) return verdict;
	if (!gateway_of(packet, gateways_of(&packet->source))) return DROP_NO_GATEWAY;
	if ((verdict = refuse_private_destination(packet, config))) return verdict;
	if ((verdict = find_public_source(packet))) return verdict;
	if (find_owner(packet)) return turn_back(hull, packet, config);
	if (!uplink) return DROP_NOT_CONFIGURED;
	if ((verdict = find_way_out(hull, packet, uplink))) return verdict;
	return send_out(hull, packet, uplink);
}

SEC(HULL_SECTION)
int blackfoot_outward(hull_t *hull)
{
	struct packet *packet = blank_packet();

	if (!packet) return HULL_DROPS;
	begin(hull, packet, BLACKFOOT_OUTWARD);
	return finish(hull, packet, lead_out(hull, packet));
}
