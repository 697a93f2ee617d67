/* SPDX-License-Identifier: GPL-2.0-only */
/* May it come in? The receiver's gate, wherever the sender lives: the same on the substrate's way and within a host. */
#ifndef ROOKERY_RECEIVING_GATE_H
#define ROOKERY_RECEIVING_GATE_H

#include "stages/fragment.h"
#include "stages/network_acl.h"
#include "stages/security_group.h"
#include "stages/verify.h"

static __always_inline enum verdict admit_to(struct __sk_buff *skb, struct packet *packet, const struct sender *sender,
					     const struct local_interface *local)
{
	enum verdict verdict;

	if ((verdict = find_fragment(packet, INGRESS)))
		return verdict;
	if ((verdict = check_border(packet, &local->gates, INGRESS, !is_neighbour(packet, sender, local))))
		return verdict;
	return check_groups(skb, packet, &local->gates, INGRESS, packet->receiver, sender->group_set,
			    flow_of(packet, INGRESS, packet->receiver));
}

#endif
