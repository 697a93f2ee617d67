/* SPDX-License-Identifier: GPL-2.0-only */
/* Was the packet at this very node before? A mark says so: it comes from no other namespace, which clears it, and from no wire. */
#ifndef ROOKERY_AGAIN_H
#define ROOKERY_AGAIN_H

enum again {
	ENTERS_AGAIN = 0x43450001,         /* skb->mark: from one attachment of this node to another */
	CUT_FROM_WIRE = 0x43550001,        /* ... on the loopback, to be cut: it had come from elsewhere, ... */
	CUT_FROM_HERE = 0x43550002,        /* ... or had entered again */
};

#endif
