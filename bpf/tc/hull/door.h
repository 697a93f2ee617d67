/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet get from one attachment of this very node to another? Once more through the node's own door. */
#ifndef ROOKERY_DOOR_H
#define ROOKERY_DOOR_H

#include "hull/again.h"
#include "stages/verify.h"

static __always_inline void enter_again(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	if (packet->what_if || packet->outer_destination != config->address)
		return;
	hull->mark = ENTERS_AGAIN;
	packet->action = bpf_redirect(config->ifindex, BPF_F_INGRESS);
}

/* Nobody else speaks with this node's own address. */
static __always_inline enum verdict check_door(hull_t *hull, const struct packet *packet, const struct substrate_config *config)
{
	bool before = packet->what_if || hull->mark == ENTERS_AGAIN;

	if (!packet->what_if)
		hull->mark = 0;
	return before ? CONTINUE : refuse_own_source(packet, config);
}

#endif
