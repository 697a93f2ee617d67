/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a super-packet become single ones? The kernel cuts on its loopback whatever is in a tunnel, for that device cuts none itself, and
 * hyperplane_cut.bpf.c lets each piece in at the node's door, as it came. */
#ifndef ROOKERY_CUT_H
#define ROOKERY_CUT_H

#include "hull/again.h"
#include "stages/packet.h"

enum cut_constant {
	LOOPBACK_DEVICE = 1,               /* ifindex, in every namespace */
};

static __always_inline enum verdict cut_by_kernel(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	if (packet->what_if)
		return DEFERRED;
	hull->mark = packet->outer_source == config->address ? CUT_FROM_HERE : CUT_FROM_WIRE;
	packet->action = bpf_redirect(LOOPBACK_DEVICE, 0);
	return DEFERRED;
}

#endif
