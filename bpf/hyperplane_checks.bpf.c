/* SPDX-License-Identifier: GPL-2.0-only */
/* From the health checks of a cell's node: TC ingress of the node's end of the pair that leads to them. */
#include "stages/check.h"

char program_license[] SEC("license") = "GPL";

static __always_inline enum verdict check(hull_t *hull, struct packet *packet)
{
	const struct cell_config *cell = find_cell();
	struct course *course;
	enum verdict verdict;

	if (!cell || !(course = begin_course(cell))) return DROP_NOT_CONFIGURED;
	if ((verdict = parse_ethernet(hull, packet))) return verdict;
	if ((verdict = parse_ip(hull, packet))) return verdict;
	if ((verdict = refuse_others(packet, course))) return verdict;
	if ((verdict = find_checked(packet, course))) return verdict;
	if ((verdict = find_key(hull, packet, course))) return verdict;
	if ((verdict = ask_groups(packet, course))) return verdict;
	return send_check(hull, packet);
}

SEC(HULL_SECTION)
int hyperplane_checks(hull_t *hull)
{
	struct packet *packet = blank_packet();

	if (!packet) return HULL_DROPS;
	begin(hull, packet, HYPERPLANE_CHECKS);
	return finish(hull, packet, check(hull, packet));
}
