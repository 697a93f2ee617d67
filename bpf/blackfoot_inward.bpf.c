/* SPDX-License-Identifier: GPL-2.0-only */
/* Into a VPC: ingress of an edge's uplink. Built twice, for TC and for XDP (tc/hull, xdp/hull). */
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

static __always_inline enum verdict lead_in(hull_t *hull, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	struct next_hop hop = {};
	enum verdict verdict;

	if (!carries_ip(hull)) return NOT_OURS;
	if ((verdict = parse_ethernet(hull, packet))) return verdict;
	if ((verdict = parse_ip(hull, packet))) return verdict;
	if (is_neighbour_discovery(packet)) return NOT_OURS;
	if (!config) return DROP_NOT_CONFIGURED;
	if (!find_owner(packet)) return leave_uplink_to_kernel(hull, packet, config);
	if ((verdict = refuse_private_source(packet, config))) return verdict;
	if ((verdict = find_way_in(packet, config, &hop))) return verdict;
	if ((verdict = find_substrate_hop(hull, packet, config))) return verdict;
	if ((verdict = readdress(hull, packet, 0, packet->vni))) return verdict;
	return encapsulate(hull, packet, &hop, config);
}

SEC(HULL_SECTION)
int blackfoot_inward(hull_t *hull)
{
	struct packet *packet = blank_packet();

	if (!packet) return HULL_DROPS;
	begin(hull, packet, BLACKFOOT_INWARD);
	return finish(hull, packet, lead_in(hull, packet));
}
