/* SPDX-License-Identifier: GPL-2.0-only */
/* The one decision of a flow: which target gets it, and under which address and port it goes on. Products differ here, and nowhere
 * else in a cell. */
#ifndef ROOKERY_DECIDE_H
#define ROOKERY_DECIDE_H

#include "stages/balancer_groups.h"
#include "stages/sequence.h"
#include "stages/trackers.h"

enum decide_constant {
	BLOCKS_SEARCHED = 256,             /* for those that this node owns: one of so many as there are nodes is */
	BLOCKS_CHOSEN = 32,                /* ... among the first so many for one that saves a way */
	BLOCKS_TRIED = 20,                 /* own ones, of an address */
	BLOCKS_WANTED = 4,                 /* ... the first of them where the flow is kept anyway: others may be free */
	NO_BLOCK = CELL_PORT_BLOCKS,
	ADDRESSES_TRIED = 8,
};

static __always_inline __u64 new_version(const struct course *course)
{
	return (bpf_ktime_get_ns() & ~(__u64)(CELL_NODES_MAX - 1)) | (course->self & (CELL_NODES_MAX - 1));
}

static __always_inline const struct cell_service *service_of(const struct course *course)
{
	struct cell_service_key key = { .attachment = course->attachment, .protocol = course->key.protocol,
					.port = course->key.destination_port };

	return bpf_map_lookup_elem(&cell_services, &key);
}

/* A target's place in the table: the flow's hash; of connections also the SYN's sequence number, so that who connects anew may
 * reach another one. Sticky: the client's address alone. */
static __noinline __u32 choice_of(const struct packet *packet, struct course *course, bool sticky)
{
	struct flow_key whole = course->key;
	__be32 sequence = 0;
	__u64 hash;

	if (sticky) {
		course->key.source_port = 0;
		course->key.destination_port = 0;
		course->key.protocol = 0;
	}
	hash = hash_of_key(false);
	course->key = whole;
	if (!sticky && packet->protocol == IPPROTO_TCP)
		sequence = sequence_of(packet);
	return (mix64(hash ^ sequence) >> 32) * CELL_CHOICES >> 32;
}

static __always_inline __u32 chosen_target(const struct course *course, const struct cell_config *config, __u32 service, __u32 choice)
{
	__u32 row = course->half * config->services + service;
	const struct cell_choices *choices = service < config->services ? bpf_map_lookup_elem(&cell_choices, &row) : 0;

	/* Clang knows that it is smaller, and Linux 6.1 does not. */
	asm volatile("" : "+r"(choice));
	return choices && choice < CELL_CHOICES ? choices->target[choice] : CELL_NO_TARGET;
}

static __noinline enum verdict choose_target(const struct packet *packet, struct course *course,
					     const struct cell_service *service)
{
	const struct cell_config *config = find_cell();
	const struct cell_target *target;
	__u32 number;

	if (!config)
		return DROP_NOT_CONFIGURED;
	number = chosen_target(course, config, service->number, choice_of(packet, course, service->flags & SERVICE_STICKY));
	target = target_of(course, config, number);
	if (!target)
		return DROP_NO_TARGET;
	course->directive.destination = target->address;
	course->directive.destination_port = target->port;
	course->directive.target = number;
	course->directive.target_generation = target->generation;
	return CONTINUE;
}

static __always_inline void begin_decision(struct course *course, __u32 idle_seconds)
{
	struct directive *directive = &course->directive;

	__builtin_memset(directive, 0, sizeof(*directive));
	directive->source = course->key.source;
	directive->source_port = course->key.source_port;
	directive->destination = course->key.destination;
	directive->destination_port = course->key.destination_port;
	directive->vni = course->key.vni;
	directive->interface = course->key.interface;
	directive->flags = DIRECTIVE_OUTWARD | provisional(course);
	directive->initial_sequence = course->initial_sequence;
	directive->target = CELL_NO_TARGET;
	directive->idle_seconds = idle_seconds;
	directive->version = new_version(course);
}

/* Whoever listens for a port is not answered as a flow to which it was handed out. */
static __always_inline bool is_listened_for(const struct course *course)
{
	struct cell_service_key key = { .attachment = { course->half, course->answers.vni, course->answers.interface },
					.protocol = course->answers.protocol, .port = course->answers.destination_port };

	return bpf_map_lookup_elem(&cell_services, &key);
}

/* One row decides: whoever writes it first has the port, towards this destination. */
static __always_inline enum stored take_port(struct course *course, __u32 port, bool what_if)
{
	course->directive.source_port = bpf_htons(port);
	course->answers.destination_port = bpf_htons(port);
	if (is_listened_for(course))
		return OTHER_THERE;
	if (what_if)
		return bpf_map_lookup_elem(&trackers, &course->answers) ? OTHER_THERE : STORED;
	turn_directive(&course->key, &course->directive, &course->turned);
	return add_tracker(&course->answers, make_row(course, &course->turned));
}

__noinline int take_port_of_block(__u32 block, __u32 random, bool what_if)
{
	struct course *course = this_course();
	enum stored stored = OTHER_THERE;

	if (!course)
		return NO_ROOM;
	for (__u32 i = 0; i < CELL_PORT_BLOCK; i++) {
		__u32 port = CELL_PORT_FIRST + block * CELL_PORT_BLOCK + ((random + i) & (CELL_PORT_BLOCK - 1));

		stored = take_port(course, port, what_if);
		if (stored != OTHER_THERE)
			break;
	}
	return stored;
}

/* The ports of a balancer's address from which its targets are checked. */
static __always_inline bool is_of_checks(const struct course *course, __u32 block)
{
	struct attachment_key key = { course->half, course->answers.vni, course->answers.interface };
	const struct attachment *exit = block < CELL_CHECK_BLOCKS ? bpf_map_lookup_elem(&attachments, &key) : 0;

	return exit && exit->kind == ATTACHMENT_BALANCER;
}

/* A new owner leaves a block alone until it has been told which of its ports are taken. */
static __always_inline bool owns_block(struct course *course, __u64 address, __u32 block)
{
	__u64 hash = hash_of_block(address, CELL_PORT_FIRST + block * CELL_PORT_BLOCK);

	if (is_of_checks(course, block))
		return false;
	course->answers_keepers = KEEPERS_KNOWN | rank(hash, CELL_NODE_CURRENT);
	if (half_of(course->answers_keepers, false) != course->self)
		return false;
	return !is_young(course) || (rank(hash, CELL_NODE_PREVIOUS) & 0xff) == course->self;
}

/* K' is kept by two, and so is K; whoever decides is one of the former, and which port it hands out is its own affair. One whose other
 * keeper has to write down K anyway, or is to be told in the end, saves the packet a way. */
static __always_inline __u32 wanted_keeper(const struct course *course)
{
	__u32 wanted = course->tail == course->self ? course->top : course->tail;

	return wanted == course->self ? NOBODY : wanted;
}

static __always_inline bool is_wanted(const struct course *course)
{
	return course->wanted == NOBODY || half_of(course->answers_keepers, true) == course->wanted;
}

/* From a random one on the first that this node owns, or of a few the first that is wanted. */
__noinline __u32 find_block(__u32 random)
{
	struct course *course = this_course();
	__u64 address = hash_of_answers_address();
	__u32 spare = NO_BLOCK;

	if (!course)
		return NO_BLOCK;
	for (__u32 i = 0; i < BLOCKS_SEARCHED && (i < BLOCKS_CHOSEN || spare == NO_BLOCK); i++) {
		__u32 block = (random + i) % CELL_PORT_BLOCKS;

		if (!owns_block(course, address, block))
			continue;
		if (is_wanted(course))
			return block;
		spare = block;
	}
	course->answers_keepers = 0;
	return spare;
}

/* Also of those that lived a minute ago this node keeps it: whoever may still use its ports is known here. */
__noinline int kept_of_late(__u32 block)
{
	struct course *course = this_course();

	if (!course)
		return 0;
	return keeps_of_late(course, hash_of_block(hash_of_answers_address(), CELL_PORT_FIRST + block * CELL_PORT_BLOCK), course->absent);
}

/* Random blocks of the address that `answers` leads to. Not the next one: full blocks would lie side by side. */
__noinline int take_port_of_address(bool what_if)
{
	struct course *course = this_course();

	if (!course)
		return NO_ROOM;
	course->wanted = wanted_keeper(course);
	course->absent = lately_left(CELL_ABSENCE_SECONDS);
	for (__u32 i = 0; i < BLOCKS_TRIED; i++) {
		__u32 random = bpf_get_prandom_u32(), block = find_block((__u16)random);
		int stored;

		if (block >= NO_BLOCK)
			break;
		if (course->absent && !kept_of_late(block))
			continue;
		stored = take_port_of_block(block, random >> 16, what_if);
		if (stored != OTHER_THERE)
			return stored;
		if (i + 1 == BLOCKS_WANTED)
			course->wanted = NOBODY;
	}
	return OTHER_THERE;
}

static __always_inline bool set_nat_address(struct course *course, __u32 place)
{
	struct nat_address_key key = { .attachment = course->attachment, .place = place };
	const struct nat_address *found = bpf_map_lookup_elem(&nat_addresses, &key);

	if (!found)
		return false;
	course->directive.source = found->address;
	return true;
}

static __always_inline enum verdict no_port(enum stored stored)
{
	return stored == NO_ROOM ? DROP_FLOWS_FULL : DROP_PORTS_EXHAUSTED;
}

/* Addresses are equals: a flow begins with a random one, and tries the others when that is full. */
static __noinline enum verdict decide_nat(struct course *course, const struct attachment *attachment, bool what_if)
{
	__u32 many = attachment->addresses, first = bpf_get_prandom_u32();
	enum stored stored = OTHER_THERE;

	begin_decision(course, CELL_NAT_IDLE_SECONDS);
	if (!is_ipv4(&course->key.destination))
		course->directive.destination = ipv4_address(course->key.destination.word[3]);
	for (__u32 i = 0; i < ADDRESSES_TRIED && i < many && stored == OTHER_THERE; i++) {
		if (!set_nat_address(course, (first + i) % many))
			continue;
		turn_key(&course->directive, course->key.protocol, &course->answers);
		stored = take_port_of_address(what_if);
	}
	course->known = stored == STORED;
	return stored == STORED ? CONTINUE : no_port(stored);
}

static __always_inline const struct attachment *exit_of(const struct course *course, const struct cell_service *service)
{
	struct attachment_key key = { course->half, service->exit_vni, service->exit_interface };

	return bpf_map_lookup_elem(&attachments, &key);
}

/* A client of the other family than its target's has no address there. */
static __always_inline bool preserves_client(const struct course *course, const struct cell_service *service)
{
	return service->flags & SERVICE_PRESERVE_CLIENT && is_ipv4(&course->key.source) == !(service->flags & SERVICE_TO_IPV6);
}

/* An attachment's, in the family of whom it speaks to. */
static __always_inline struct address own_address(const struct attachment *attachment, const struct address *to)
{
	return is_ipv4(to) ? attachment->primary : attachment->primary_ipv6;
}

/* Whose address the target sees, when not the client's: the balancer's own; of an endpoint, that of the balancer behind it. */
static __always_inline void set_exit(struct course *course, const struct cell_service *service, const struct attachment *exit)
{
	course->directive.vni = service->exit_vni;
	course->directive.interface = service->exit_interface;
	course->directive.source = own_address(exit, &course->directive.destination);
}

/* Where the header has its place is counted from the client's first number. */
static __always_inline void begin_stream(const struct packet *packet, struct course *course, const struct cell_service *service)
{
	if (!(service->flags & SERVICE_PROXY_PROTOCOL) || packet->protocol != IPPROTO_TCP)
		return;
	course->directive.flags |= DIRECTIVE_PROXY_PROTOCOL;
}

/* The balancer behind an endpoint sees the consumer by its private address, where it wants to. It knows no group of another VPC. */
static __always_inline enum verdict ask_exit(struct packet *packet, struct course *course, const struct cell_service *service,
					     const struct attachment *exit)
{
	enum verdict verdict;

	if (service->flags & SERVICE_ENDPOINT && exit->flags & ATTACHMENT_GROUPS_SEE_CLIENT &&
	    (verdict = admit_client(packet, exit, &course->key, 0)))
		return verdict;
	return admit_to_target(packet, exit, course);
}

static __noinline enum verdict decide_balancer(struct packet *packet, struct course *course, bool what_if)
{
	const struct cell_service *service = service_of(course);
	const struct attachment *exit;
	enum verdict verdict;
	enum stored stored;

	if (!service)
		return DROP_NO_SERVICE;
	begin_decision(course, service->idle_seconds);
	begin_stream(packet, course, service);
	if ((verdict = choose_target(packet, course, service)))
		return verdict;
	exit = exit_of(course, service);
	if (!exit)
		return DROP_NO_ATTACHMENT;
	if ((verdict = ask_exit(packet, course, service, exit)))
		return verdict;
	if (preserves_client(course, service)) {
		know(course, &course->directive);
		return CONTINUE;
	}
	set_exit(course, service, exit);
	turn_key(&course->directive, course->key.protocol, &course->answers);
	stored = take_port_of_address(what_if);
	course->known = stored == STORED;
	return stored == STORED ? CONTINUE : no_port(stored);
}

__noinline int decide(void)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	const struct attachment *attachment;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	attachment = attachment_of(course);
	if (!attachment)
		return DROP_NO_ATTACHMENT;
	if (attachment->kind == ATTACHMENT_NAT)
		return decide_nat(course, attachment, packet->what_if);
	return decide_balancer(packet, course, packet->what_if);
}

/* Is the source hidden, so that a port must be had? Only a balancer may leave it as it is. */
static __always_inline bool needs_port(const struct course *course, const struct attachment *attachment)
{
	const struct cell_service *service = attachment->kind == ATTACHMENT_NAT ? 0 : service_of(course);

	return !service || !preserves_client(course, service);
}

/* Of a new flow: so long it may rest. */
static __always_inline __u32 idle_seconds_of(const struct course *course, const struct attachment *attachment)
{
	const struct cell_service *service = attachment->kind == ATTACHMENT_NAT ? 0 : service_of(course);

	return service ? service->idle_seconds : CELL_NAT_IDLE_SECONDS;
}

#endif
