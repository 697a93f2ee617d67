/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a transport's checksum follow? By arithmetic: what comes from a wire is complete. */
#ifndef ROOKERY_HULL_CHECKSUM_H
#define ROOKERY_HULL_CHECKSUM_H

#include "stages/mend.h"
#include "stages/packet.h"

/* Of a change of addresses. UDP's may be missing. In place where it lies there: two calls cost more than the rest. */
static __always_inline bool mend_in_place(hull_t *hull, __u32 place, __u32 difference, bool udp)
{
	__u16 *field = (void *)in_place(hull, place, sizeof(*field)), checksum;

	if (field) {
		if (!udp || *field)
			*field = udp ? mend_udp(*field, difference) : mend(*field, difference);
		return true;
	}
	if (load_bytes(hull, place, &checksum, sizeof(checksum)))
		return false;
	if (udp && !checksum)
		return true;
	checksum = udp ? mend_udp(checksum, difference) : mend(checksum, difference);
	return !store_bytes(hull, place, &checksum, sizeof(checksum));
}

/* Of a change of what it covers itself: all of it is covered already. */
static __always_inline bool mend_covered(hull_t *hull, __u32 place, __u32 difference, bool udp)
{
	return mend_in_place(hull, place, difference, udp);
}

/* ... two bytes. */
static __always_inline bool mend_word(hull_t *hull, __u32 place, __u16 before, __u16 now)
{
	return mend_in_place(hull, place, (__u32)now + (__u16)~before, false);
}

static __always_inline bool is_partial(hull_t *hull, __u32 place)
{
	(void)hull, (void)place;
	return false;
}

#endif
