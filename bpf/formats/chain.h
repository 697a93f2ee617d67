/* SPDX-License-Identifier: GPL-2.0-only */
/* What a packet carries on its way along the nodes of a cell: an option behind the origin's, critical, for nobody else may take it.
 * Nodes of a cell are of one kind of machine: numbers without __be are as they are in memory. */
#ifndef ROOKERY_CHAIN_H
#define ROOKERY_CHAIN_H

#include "formats/cell.h"
#include "formats/wire.h"

/* K is the flow as the packet belongs to it, K' the flow of the answers. */
enum chain_step {
	CHAIN_ASK = 1,                     /* a tracker of K: what becomes of it? */
	CHAIN_DECIDE = 2,                  /* a node that hands out ports: under which does it leave? */
	CHAIN_ANSWERS_FIRST = 3,           /* primary of K': write it down */
	CHAIN_ANSWERS_SECOND = 4,          /* its secondary: write it down */
	CHAIN_SECOND = 5,                  /* the other keeper of K, as the one that began the chain named it: write it down */
	CHAIN_TELL = 6,                    /* the top: that is what becomes of it */
	CHAIN_BEAT_FIRST = 7,              /* a heartbeat, primary of K: it lives */
	CHAIN_BEAT_SECOND = 8,
	CHAIN_BEAT_ANSWERS_FIRST = 9,
	CHAIN_BEAT_ANSWERS_SECOND = 10,    /* a heartbeat ends here */
	CHAIN_CHECK = 11,                  /* the node whose health check this answers, by its port. It stands alone: no step follows */
	CHAIN_COPY = 12,                   /* a node that is to keep the flow, too: it rests, so no heartbeat says it. No step follows */
	CHAIN_END = 13,
};

enum chain_flag {
	CHAIN_HANDED_OUT = 1,              /* K leads to a port that the cell handed out: whoever owns its block keeps it */
	CHAIN_OWN_ADDRESS = 2,             /* ... to an address of the attachment itself */
	CHAIN_TAKEN = 4,                   /* what was decided belongs to another flow: take another port. Asked: forget it, it is over */
	CHAIN_UNKNOWN = 8,                 /* told to the top: nobody knows it, its sender is to be reset */
	CHAIN_KEPT = 16,                   /* by its decider, which is K's secondary too: no node need go back there */
	CHAIN_TARGET_GONE = 32,            /* ... because its target is gone, or was given up */
	CHAIN_HELD = 64,                   /* the top was told of it within its lease, and has been silent since: it counts where nobody knows more */
};

struct chain_option {
	struct geneve_option header;
	__be32 epoch;                      /* of the sender's file */
	__be32 interface;                  /* the attachment's; its VPC is the packet's */
	__u8 step;                         /* enum chain_step: what the receiver is to do */
	__u8 top;                          /* place of the node that is told in the end */
	__u8 decider;
	__u8 flags;                        /* enum chain_flag */
	__u8 asked;                        /* so many trackers did not know it */
	__u8 refused;                      /* so often a decision was taken back, or the question passed on; 8 times whose turn CHAIN_SECOND is:
					      place and one, 0: nobody's */
	__u16 seconds;                     /* when the top asked, by its clock. Of a copy: for so long nobody has said that the flow lives */
	__be16 source_port;                /* of K: a later fragment has none */
	__be16 destination_port;
	struct directive directive;        /* once it is decided */
};
_Static_assert(sizeof(struct chain_option) == 96, "wire format");

#endif
