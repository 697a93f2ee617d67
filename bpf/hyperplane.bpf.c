/* SPDX-License-Identifier: GPL-2.0-only */
/* A node of a cell: ingress of its substrate device. Built twice, for TC and for XDP (tc/hull, xdp/hull). Top, tracker and decider are one
 * program: a node does what is its turn. */
#include "stages/chained.h"
#include "stages/decapsulate.h"
#include "stages/measure.h"
#include "stages/own_substrate.h"
#include "stages/parse.h"
#include "stages/probe.h"
#include "stages/substrate.h"
#include "stages/top.h"
#include "stages/unicast.h"

char program_license[] SEC("license") = "GPL";

/* Out of line: the outer head need not stay on the stack while the chain is walked. */
static __noinline enum verdict open_outer(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	return parse_outer(hull, packet, config);
}

/* What is no packet of the overlay. */
static __always_inline enum verdict set_aside(hull_t *hull, struct packet *packet,
					      const struct substrate_config *config, enum verdict verdict)
{
	if (verdict == NOT_OURS)
		return leave_substrate_to_kernel(hull, config);
	if (verdict != DROP_MALFORMED_GENEVE || !config)
		return verdict;
	return answer_probe(hull, packet, config, why_silent());
}

/* From another node: this one's turn. */
static __always_inline enum verdict join(hull_t *hull, struct packet *packet, struct course *course)
{
	enum verdict verdict;

	if ((verdict = read_chain(hull, packet, course))) return verdict;
	return walk_chain(hull, true);
}

/* From a host, an edge, or another cell. */
static __always_inline enum verdict enter(hull_t *hull, struct packet *packet, struct course *course,
					  const struct substrate_config *config)
{
	enum verdict verdict;

	note_arrival(packet, course);
	if ((verdict = refuse_neighbour_discovery(packet))) return verdict;
	if ((verdict = check_door(hull, packet, config))) return verdict;
	if ((verdict = verify_source(packet, &course->sender))) return verdict;
	if ((verdict = find_attachment(packet, course))) return verdict;
	if ((verdict = refuse_fragment(packet))) return verdict;
	if ((verdict = find_fragment(packet, INGRESS))) return verdict;
	if ((verdict = check_border(packet, &course->exit.gates, INGRESS, crosses_border(packet, course)))) return verdict;
	if ((verdict = find_key(hull, packet, course))) return verdict;
	if ((verdict = find_kind_of_key(packet, course))) return verdict;
	if (course->step == CHAIN_CHECK) return walk_chain(hull, false);
	if ((verdict = follow_cached(hull))) return verdict;
	return ask_trackers(hull, packet, course);
}

/* Of the overlay, and for this node. */
static __always_inline enum verdict take(hull_t *hull, struct packet *packet, const struct substrate_config *config, bool chained)
{
	const struct cell_config *cell = find_cell();
	struct course *course;
	enum verdict verdict;

	if ((verdict = parse_ethernet(hull, packet))) return verdict;
	if ((verdict = parse_ip(hull, packet))) return verdict;
	if (!chained && (verdict = take_shortcut(hull))) return verdict;
	if (!cell || !(course = begin_course(cell))) return DROP_NOT_CONFIGURED;
	verdict = chained ? join(hull, packet, course) : enter(hull, packet, course, config);
	take_measures(verdict);
	return verdict;
}

static __always_inline enum verdict serve(hull_t *hull, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	enum verdict verdict = open_outer(hull, packet, config);

	if (!verdict)
		return take(hull, packet, config, false);
	if (!may_be_chained(packet, verdict))
		return set_aside(hull, packet, config, verdict);
	packet->program = HYPERPLANE_CHAIN;
	return take(hull, packet, config, true);
}

SEC(HULL_SECTION)
int hyperplane(hull_t *hull)
{
	struct packet *packet = blank_packet();

	if (!packet) return HULL_DROPS;
	begin(hull, packet, HYPERPLANE_TOP);
	return finish(hull, packet, serve(hull, packet));
}
