/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the packet belong to a flow that the interface's security groups admitted before? One row for both directions. */
#ifndef ROOKERY_CONNECTION_H
#define ROOKERY_CONNECTION_H

#include "stages/gate.h"
#include "stages/host_tables.h"
#include "stages/tcp.h"

enum connection_constant {
	ROW_IS_THERE = -17,                /* -EEXIST: another CPU was faster */
	REFRESH = 100000000,               /* nanoseconds: a deadline is moved only when it is worth a write to shared memory */
};

/* Whose gate it is, and who is on its other side. */
struct ends {
	const struct gates *gates;
	__u64 group_set;                   /* of the remote; 0: none, or not known here */
	__u32 interface;
};

enum known {
	UNKNOWN = 0,
	KNOWN = 1,
	OVER = 2,                          /* a row is there, whose time is over: it is counted until the sweep takes it away */
};

/* May this packet be the first one of a flow? A segment in the middle of a TCP connection that is not tracked is judged by
 * the rules, but begins nothing: else what a server sends would keep a connection alive whose rule is gone. */
static __always_inline bool opens(const struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP)
		return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return !carries_icmp(&packet->source, packet->protocol) || is_echo_request(packet->protocol, packet->icmp_type);
}

static __always_inline void put_ends(struct connection_key *key, bool leaves, const struct address *source,
				     const struct address *destination)
{
	key->local = leaves ? *source : *destination;
	key->remote = leaves ? *destination : *source;
}

static __always_inline void put_ports(struct connection_key *key, bool leaves, __be16 source, __be16 destination)
{
	key->local_port = leaves ? source : destination;
	key->remote_port = leaves ? destination : source;
}

static __always_inline void put_echo(struct connection_key *key, bool leaves, __u8 type, __be16 identifier)
{
	bool asked_here = is_echo_request(key->protocol, type) == leaves;

	key->local_port = identifier;
	key->remote_port = bpf_htons(asked_here ? ECHO_ASKED_HERE : ECHO_ASKED_THERE);
}

/* False: of a kind that has no flow (ICMP that is no echo). */
static __always_inline bool find_flow(struct packet *packet, bool leaves, __u32 interface)
{
	struct connection_key *key = &packet->kept.flow;

	key->interface = interface;
	key->protocol = packet->protocol;
	put_ends(key, leaves, &packet->source, &packet->destination);
	if (!carries_icmp(&packet->source, packet->protocol))
		put_ports(key, leaves, packet->source_port, packet->destination_port);
	else if (is_echo(packet->protocol, packet->icmp_type))
		put_echo(key, leaves, packet->icmp_type, packet->source_port);
	else
		return false;
	return true;
}

/* Of the packet at a gate of the interface, whatever its age; 0: there is no such row. */
static __always_inline struct connection *flow_of(struct packet *packet, enum direction direction, __u32 interface)
{
	return find_flow(packet, direction == EGRESS, interface) ? bpf_map_lookup_elem(&connections, &packet->kept.flow) : 0;
}

static __always_inline bool is_over(const struct connection *row, __u64 now)
{
	return row->deadline <= now;
}

/* A new connection between the ports of a closed one is new: its rules are asked. */
static __always_inline bool is_reopened(const struct connection *row, const struct packet *packet)
{
	return row->state == CONNECTION_CLOSING && opens(packet);
}

static __always_inline __u64 idle_seconds(const struct packet *packet, const struct gates *gates, __u8 state)
{
	if (packet->protocol == IPPROTO_UDP)
		return state == CONNECTION_STREAM ? gates->udp_stream : gates->udp;
	if (carries_icmp(&packet->source, packet->protocol))
		return IDLE_ICMP;
	if (packet->protocol != IPPROTO_TCP)
		return IDLE_OTHER;
	if (state == CONNECTION_CLOSING)
		return IDLE_TCP_CLOSING;
	return state == CONNECTION_STREAM ? gates->tcp_established : IDLE_TCP_NEW;
}

static __always_inline __u8 next_state(const struct packet *packet, const struct connection *row)
{
	__u8 flags = packet->protocol == IPPROTO_TCP ? packet->tcp_flags : 0;

	if (flags & (TCP_FIN | TCP_RST) || row->state == CONNECTION_CLOSING)
		return CONNECTION_CLOSING;
	if (packet->direction != row->opened)
		return row->state == CONNECTION_NEW ? CONNECTION_ANSWERED : row->state;
	/* A SYN that is sent again does not say that its answer has come. */
	return row->state == CONNECTION_ANSWERED && !(flags & TCP_SYN) ? CONNECTION_STREAM : row->state;
}

static __always_inline void refresh(struct connection *row, const struct packet *packet, const struct gates *gates,
				    __u64 now)
{
	__u8 state = next_state(packet, row);
	__u64 deadline = now + idle_seconds(packet, gates, state) * SECOND;

	if (state != row->state)
		row->state = state;
	else if (deadline - row->deadline < REFRESH)
		return;
	row->deadline = deadline;
}

/* A flow that began elsewhere is answered the way that its last packet came. One that began here follows the routes, and what a
 * NAT gateway brings of it changes nothing. */
static __always_inline void note_way(struct connection *row, const struct packet *packet)
{
	if (row->attachment != packet->attachment && packet->direction == INGRESS && row->opened == INGRESS)
		row->attachment = packet->attachment;
}

/* What every packet of an established flow costs: the one search that found `row`. All other parts of the decision are out of line:
 * each has keys of its own, and they have one stack of 512 bytes. */
static __always_inline enum known find_connection(struct packet *packet, const struct ends *ends, struct connection *row)
{
	__u64 now;

	if (!row)
		return UNKNOWN;
	now = coarse_now(packet);
	if (is_over(row, now) || is_reopened(row, packet))
		return OVER;
	if (!packet->what_if) {
		refresh(row, packet, ends->gates, now);
		note_way(row, packet);
	}
	packet->rule = row->rule;
	packet->direction = row->opened;   /* the rule's own: an answer goes the other way */
	tell(packet, STEP_CONNECTION_FOUND, CONTINUE, row->list);
	return KNOWN;
}

/* Room of the interface, then room of the host. A full table never loses a flow that it has. */
static __always_inline enum verdict add_connection(const struct connection_key *key, const struct connection *row,
						   struct allowance *allowance)
{
	int error;                         /* as in trackers.h */

	if (__sync_fetch_and_add(&allowance->tracked, 1) >= allowance->allowed) {
		__sync_fetch_and_sub(&allowance->tracked, 1);
		return DROP_ALLOWANCE_EXCEEDED;
	}
	error = bpf_map_update_elem(&connections, key, row, BPF_NOEXIST);
	if (!error)
		return CONTINUE;
	__sync_fetch_and_sub(&allowance->tracked, 1);
	return error == ROW_IS_THERE ? CONTINUE : DROP_CONNECTIONS_FULL;
}

/* Of the flow that flow_of() looked for. */
static __noinline enum verdict make_connection(struct packet *packet, const struct ends *ends, enum known known)
{
	struct connection row = { .list = packet->list, .rule = packet->rule, .state = CONNECTION_NEW,
				  .opened = packet->direction, .attachment = packet->attachment };
	struct allowance *allowance = bpf_map_lookup_elem(&allowances, &ends->interface);

	if (!allowance)
		return DROP_NOT_CONFIGURED;
	if (packet->what_if)
		return known == OVER || allowance->tracked < allowance->allowed ? CONTINUE : DROP_ALLOWANCE_EXCEEDED;
	row.deadline = coarse_now(packet) + idle_seconds(packet, ends->gates, row.state) * SECOND;
	if (known == OVER && !bpf_map_update_elem(&connections, &packet->kept.flow, &row, BPF_EXIST))
		return CONTINUE;
	return add_connection(&packet->kept.flow, &row, allowance);
}

#endif
