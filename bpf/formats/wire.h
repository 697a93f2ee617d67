/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes on the substrate. docs/wire-format.md draws them; this is their only definition.
 *
 * outer IPv4 | UDP 6081 | Geneve (RFC 8926), VNI = VPC of the destination | option "origin" | inner Ethernet | inner IP ...
 */
#ifndef ROOKERY_WIRE_H
#define ROOKERY_WIRE_H

enum wire_constant {
	WIRE_GENEVE_PORT = 6081,           /* RFC 8926, section 3.3 */
	WIRE_INNER_ETHERNET = 0x6558,      /* RFC 8926: Trans Ether Bridging */
	WIRE_OPTION_CLASS = 0xff52,        /* RFC 8926: 0xff00..0xffff are experimental; 'R' */
	WIRE_OPTION_ORIGIN = 0x01,         /* not critical: a receiver may skip it */
	WIRE_OPTION_CRITICAL = 0x80,       /* RFC 8926: drop what you do not understand */
	WIRE_OPTION_CHAIN = 0x82,          /* critical; between nodes of one cell only (formats/chain.h) */
	WIRE_SOURCE_PORT_BASE = 0xc000,    /* flow entropy for equal-cost paths: 49152..65535 */
};

struct geneve_header {
	__u8 version_and_option_words;     /* version 2 bits, option length 6 bits, in 4-byte words */
	__u8 flags;                        /* O (control) 0x80, C (critical options) 0x40 */
	__be16 inner_protocol;
	__be32 vni_and_reserved;           /* VNI 24 bits, reserved 8 bits */
};
_Static_assert(sizeof(struct geneve_header) == 8, "RFC 8926");

struct geneve_option {
	__be16 option_class;
	__u8 type;
	__u8 length_words;                 /* of the data behind this header: low 5 bits */
};
_Static_assert(sizeof(struct geneve_option) == 4, "RFC 8926");

/* What the sender claims about itself. The receiver believes the mapping, never this. */
struct origin_option {
	struct geneve_option header;
	__be32 interface;                  /* number of the sending interface */
	__be32 vni_and_reserved;           /* its VPC, as in the Geneve header: another one comes over a peering */
	__be32 target;                     /* the interface to which a route leads; 0: whoever has the destination's address */
};
_Static_assert(sizeof(struct origin_option) == 16, "wire format");

#endif
