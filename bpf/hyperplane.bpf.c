/* SPDX-License-Identifier: GPL-2.0-only */
/* A node of a cell: TC ingress of its substrate device. Top, tracker and decider are one program: a node does what is its turn. */
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
static __noinline enum verdict open_outer(struct __sk_buff *skb, struct packet *packet, const struct substrate_config *config)
{
	return parse_outer(skb, packet, config);
}

/* What is no packet of the overlay. */
static __always_inline enum verdict set_aside(struct __sk_buff *skb, struct packet *packet,
					      const struct substrate_config *config, enum verdict verdict)
{
	if (verdict == NOT_OURS)
		return leave_substrate_to_kernel(skb, config);
	if (verdict != DROP_MALFORMED_GENEVE || !config)
		return verdict;
	return answer_probe(skb, packet, config, why_silent());
}

/* From another node: this one's turn. */
static __always_inline enum verdict join(struct __sk_buff *skb, struct packet *packet, struct course *course)
{
	enum verdict verdict;

	if ((verdict = read_chain(skb, packet, course))) return verdict;
	return walk_chain(skb, true);
}

/* From a host, an edge, or another cell. */
static __always_inline enum verdict enter(struct __sk_buff *skb, struct packet *packet, struct course *course,
					  const struct substrate_config *config)
{
	enum verdict verdict;

	note_arrival(packet, course);
	if ((verdict = refuse_neighbour_discovery(packet))) return verdict;
	if (!has_entered_before(skb, packet) && (verdict = refuse_own_source(packet, config))) return verdict;
	if ((verdict = verify_source(packet, &course->sender))) return verdict;
	if ((verdict = find_attachment(packet, course))) return verdict;
	if ((verdict = refuse_fragment(packet))) return verdict;
	if ((verdict = find_fragment(packet, INGRESS))) return verdict;
	if ((verdict = check_border(packet, &course->exit.gates, INGRESS, crosses_border(packet, course)))) return verdict;
	if ((verdict = find_key(skb, packet, course))) return verdict;
	if ((verdict = find_kind_of_key(packet, course))) return verdict;
	if (course->step == CHAIN_CHECK) return walk_chain(skb, false);
	if ((verdict = follow_cached(skb))) return verdict;
	return ask_trackers(skb, packet, course);
}

/* Of the overlay, and for this node. */
static __always_inline enum verdict take(struct __sk_buff *skb, struct packet *packet, const struct substrate_config *config, bool chained)
{
	const struct cell_config *cell = find_cell();
	struct course *course;
	enum verdict verdict;

	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if (!chained && (verdict = take_shortcut(skb))) return verdict;
	if (!cell || !(course = begin_course(cell))) return DROP_NOT_CONFIGURED;
	verdict = chained ? join(skb, packet, course) : enter(skb, packet, course, config);
	take_measures(verdict);
	return verdict;
}

static __always_inline enum verdict serve(struct __sk_buff *skb, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	enum verdict verdict = open_outer(skb, packet, config);

	if (!verdict)
		return take(skb, packet, config, false);
	if (!may_be_chained(packet, verdict))
		return set_aside(skb, packet, config, verdict);
	packet->program = HYPERPLANE_CHAIN;
	return take(skb, packet, config, true);
}

SEC("tc")
int hyperplane(struct __sk_buff *skb)
{
	struct packet *packet = blank_packet();

	if (!packet) return TC_ACT_SHOT;
	begin(skb, packet, HYPERPLANE_TOP);
	return finish(skb, packet, serve(skb, packet));
}
