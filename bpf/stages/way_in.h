/* SPDX-License-Identifier: GPL-2.0-only */
/* Where in its VPC does a packet from outside go? To whoever has the address, or where the gateway's own route table says. */
#ifndef ROOKERY_WAY_IN_H
#define ROOKERY_WAY_IN_H

#include "stages/gateway.h"
#include "stages/next_hop.h"
#include "stages/wrapping.h"

/* A gateway's route table knows nothing but the VPC, and appliances in it. */
static __always_inline enum verdict follow_gateway(struct packet *packet, __u32 table, struct next_hop *hop)
{
	const struct route *route = longest_route(table, &packet->destination);

	if (!route)
		return DROP_NO_ROUTE;
	tell(packet, STEP_ROUTE_FOUND, CONTINUE, route->kind);
	if (route->kind == ROUTE_LOCAL)
		return to_owner(packet, packet->vni, hop);
	if (route->kind == ROUTE_INTERFACE)
		return to_forwarder(packet, route->target, hop);
	return route->kind == ROUTE_BLACKHOLE ? DROP_BLACKHOLE : DROP_NO_ROUTE;
}

static __noinline enum verdict find_way_in(struct packet *packet, const struct substrate_config *config, struct next_hop *hop)
{
	const struct gateway *gateway = gateway_of(packet, gateways_of(&packet->destination));

	if (!gateway)
		return DROP_NO_GATEWAY;
	if (packet->largest + WRAPPING > config->mtu)
		return DROP_TOO_BIG;
	packet->origin_vni = packet->vni;
	packet->origin_interface = 0;      /* nobody's: it comes from outside */
	packet->led_to = 0;
	return gateway->route_table ? follow_gateway(packet, gateway->route_table, hop) : to_owner(packet, packet->vni, hop);
}

#endif
