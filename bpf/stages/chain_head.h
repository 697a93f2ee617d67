/* SPDX-License-Identifier: GPL-2.0-only */
/* How long is what stands in front of a packet on its way along the nodes of a cell? */
#ifndef ROOKERY_CHAIN_HEAD_H
#define ROOKERY_CHAIN_HEAD_H

#include "formats/chain.h"
#include "stages/packet.h"
#include "stages/decapsulate.h"

enum chain_head_constant {
	CHAINED_HEAD = OUTER_HEAD + sizeof(struct chain_option),
	CHAIN_OPTION_WORDS = (sizeof(struct chain_option) - sizeof(struct geneve_option)) / 4,
	CHAIN_WORDS = (sizeof(struct origin_option) + sizeof(struct chain_option)) / 4,
	REFUSED_BITS = 3,                  /* of `refused`: the others name the tail */
	REFUSED_MASK = (1 << REFUSED_BITS) - 1,
	CHAIN_GENEVE_FLAGS = 0x40,         /* RFC 8926: there are critical options */
};

#endif
