/* SPDX-License-Identifier: GPL-2.0-only */
/* What carries the packet through the kernel? Here the socket buffer of traffic control: it may be a super-packet, its checksum may be a
 * device's to finish, and the kernel's neighbours are at hand. (xdp/hull/frame.h: the other build of the same stages.) */
#ifndef ROOKERY_FRAME_H
#define ROOKERY_FRAME_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "formats/verdict.h"

typedef struct __sk_buff hull_t;

/* To whom it leaves this node: by the neighbour's address. */
struct departure {
	struct bpf_redir_neigh hop;
};

#define HULL_SECTION "tc"
#define HULL_LEFT NOT_OURS                 /* verdict on what is not ours */

enum hull_constant {
	HULL_DROPS = TC_ACT_SHOT,
	HULL_LEAVES = TC_ACT_UNSPEC,
	FOR_THIS_NODE = 0,                 /* PACKET_HOST (linux/if_packet.h) */
};

static __always_inline __u32 length_of(const hull_t *hull)
{
	return hull->len;
}

static __always_inline __u32 device_of(const hull_t *hull)
{
	return hull->ifindex;
}

/* Bytes of payload of each packet in a super-packet; 0: it is one packet. */
static __always_inline __u32 segment_of(const hull_t *hull)
{
	return hull->gso_size;
}

/* By a VLAN tag that is no longer in the frame. */
static __always_inline bool is_tagged(const hull_t *hull)
{
	return hull->vlan_present;
}

static __always_inline __be16 protocol_of(const hull_t *hull)
{
	return hull->protocol;
}

/* The kernel forwards no frame that a switch flooded, and no broadcast. */
static __always_inline bool is_never_forwarded(const hull_t *hull)
{
	return hull->pkt_type != FOR_THIS_NODE;
}

static __always_inline long load_bytes(const hull_t *hull, __u32 offset, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes(hull, offset, to, bytes);
}

static __always_inline long store_bytes(hull_t *hull, __u32 offset, const void *from, __u32 bytes)
{
	return bpf_skb_store_bytes(hull, offset, from, bytes, 0);
}

/* Only a test run can bring this mark: it is cleared whenever a packet enters another namespace. */
static __always_inline __u32 mark_of(const hull_t *hull)
{
	return hull->mark;
}

/* Of a what-if: rides in the test run's context. */
static __always_inline void show_outcome(hull_t *hull, enum verdict verdict, __u32 target)
{
	hull->cb[WHAT_IF_VERDICT] = verdict;
	hull->cb[WHAT_IF_TARGET] = target;
}

#endif
