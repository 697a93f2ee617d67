/* SPDX-License-Identifier: GPL-2.0-only */
/* From the substrate: TC ingress of the host's substrate device. */
#include "stages/decapsulate.h"
#include "stages/deliver.h"
#include "stages/from_edge.h"
#include "stages/interface.h"
#include "stages/parse.h"
#include "stages/receiving_gate.h"
#include "stages/substrate.h"
#include "stages/unicast.h"
#include "stages/verify.h"

char program_license[] SEC("license") = "GPL";

static __always_inline enum verdict arrive(struct __sk_buff *skb, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	const struct local_interface *local;
	struct sender sender = {};
	enum verdict verdict;

	if ((verdict = parse_outer(skb, packet, config))) return verdict;
	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if ((verdict = refuse_neighbour_discovery(packet))) return verdict;
	if ((verdict = refuse_own_source(packet, config))) return verdict;
	if ((verdict = verify_source(packet, &sender))) return verdict;
	if ((verdict = find_destination(packet, config, &local))) return verdict;
	if ((verdict = admit_to(skb, packet, &sender, local))) return verdict;
	if ((verdict = unwrap(skb, packet))) return verdict;
	return deliver(skb, packet, &sender, local);
}

SEC("tc")
int host_ingress(struct __sk_buff *skb)
{
	struct packet *packet = blank_packet();

	if (!packet) return TC_ACT_SHOT;
	begin(skb, packet, HOST_INGRESS);
	return finish(skb, packet, arrive(skb, packet));
}
