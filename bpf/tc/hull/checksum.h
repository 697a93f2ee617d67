/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a transport's checksum follow? The kernel knows what is in the field: a checksum, or only the pseudo header's sum, for a device
 * to go on with. */
#ifndef ROOKERY_HULL_CHECKSUM_H
#define ROOKERY_HULL_CHECKSUM_H

#include "hull/frame.h"
#include "stages/mend.h"

/* Of a change of addresses. UDP's may be missing. */
static __always_inline bool mend_in_place(hull_t *hull, __u32 place, __u32 difference, bool udp)
{
	return !bpf_l4_csum_replace(hull, place, 0, difference, BPF_F_PSEUDO_HDR | (udp ? BPF_F_MARK_MANGLED_0 : 0));
}

/* Of a change of what it covers itself: a partial one does not cover that yet, and the kernel leaves it alone. UDP's may be missing. */
static __always_inline bool mend_covered(hull_t *hull, __u32 place, __u32 difference, bool udp)
{
	return !bpf_l4_csum_replace(hull, place, 0, difference, udp ? BPF_F_MARK_MANGLED_0 : 0);
}

/* ... two bytes. */
static __always_inline bool mend_word(hull_t *hull, __u32 place, __u16 before, __u16 now)
{
	return !bpf_l4_csum_replace(hull, place, before, now, sizeof(now));
}

/* Is the field only the pseudo header's sum? The kernel leaves that alone when what it does not cover changes. */
static __always_inline bool is_partial(hull_t *hull, __u32 place)
{
	__u16 before = 0, now = 0;

	load_bytes(hull, place, &before, sizeof(before));
	bpf_l4_csum_replace(hull, place, 0, 1, sizeof(now));
	load_bytes(hull, place, &now, sizeof(now));
	return before == now;
}

#endif
