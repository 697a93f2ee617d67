/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flow is it, and where does that one's hash put it? Nobody who does not know the cell's key can aim flows at a node. */
#ifndef ROOKERY_KEY_H
#define ROOKERY_KEY_H

#include "stages/course.h"
#include "stages/nat64.h"
#include "stages/parse.h"
#include "stages/quote.h"
#include "stages/sequence.h"
#include "stages/tcp.h"

enum key_constant {
	KEY_WORDS = sizeof(struct flow_key) / 8,
};
_Static_assert(sizeof(struct flow_key) % 8 == 0, "hashed in whole words");

struct sip {
	__u64 v0, v1, v2, v3;
};

static __always_inline __u64 rotate(__u64 word, __u32 bits)
{
	return word << bits | word >> (64 - bits);
}

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1; s->v1 = rotate(s->v1, 13); s->v1 ^= s->v0; s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3; s->v3 = rotate(s->v3, 16); s->v3 ^= s->v2;
	s->v0 += s->v3; s->v3 = rotate(s->v3, 21); s->v3 ^= s->v0;
	s->v2 += s->v1; s->v1 = rotate(s->v1, 17); s->v1 ^= s->v2; s->v2 = rotate(s->v2, 32);
}

/* SipHash-1-3 (Aumasson, Bernstein 2012; as Linux has it for its own tables), of one flow_key. */
static __always_inline __u64 siphash(const __u64 *secret, const struct flow_key *key)
{
	struct sip s = { secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
			 secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573 };
	const __u32 *half = (const __u32 *)key;
	__u64 last = (__u64)sizeof(*key) << 56;

	for (__u32 i = 0; i < KEY_WORDS; i++) {
		__u64 word = half[2 * i] | (__u64)half[2 * i + 1] << 32;

		s.v3 ^= word;
		sip_round(&s);
		s.v0 ^= word;
	}
	s.v3 ^= last;
	sip_round(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	for (__u32 i = 0; i < 3; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Fast, and of a keyed hash as hard to guess as that. src/rookery/hyperplane/ring.py says the same. */
static __always_inline __u64 mix64(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Of a port that the cell handed out only attachment, address and block count: whoever owns the block keeps all its flows. */
static __always_inline void leave_address(struct flow_key *key)
{
	__builtin_memset(&key->source, 0, sizeof(key->source));
	key->protocol = 0;
	key->source_port = 0;
	key->destination_port = 0;
}

/* Who looks for a block asks this of many: of `address` the keyed hash is found once. */
static __always_inline __u64 hash_of_block(__u64 address, __u32 port)
{
	return mix64(address ^ port / CELL_PORT_BLOCK);
}

static __always_inline __u64 place_hash(const struct flow_key *from, bool handed_out)
{
	const struct cell_config *config = find_cell();
	struct flow_key key = *from;

	if (!config)
		return 0;
	if (!handed_out)
		return siphash(config->key, &key);
	leave_address(&key);
	return hash_of_block(siphash(config->key, &key), bpf_ntohs(from->destination_port));
}

/* Not static: the verifier looks at them once. */
__noinline __u64 hash_of_key(bool handed_out)
{
	const struct course *course = this_course();

	return course ? place_hash(&course->key, handed_out) : 0;
}

__noinline __u64 hash_of_answers(bool handed_out)
{
	const struct course *course = this_course();

	return course ? place_hash(&course->answers, handed_out) : 0;
}

/* ... without its port. */
__noinline __u64 hash_of_answers_address(void)
{
	const struct cell_config *config = find_cell();
	const struct course *course = this_course();
	struct flow_key key;

	if (!course || !config)
		return 0;
	key = course->answers;
	leave_address(&key);
	return siphash(config->key, &key);
}

/* Either family's ICMP is one protocol to K: its addresses say which. */
static __always_inline __u8 protocol_of_key(__u8 protocol)
{
	return protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : protocol;
}

static __always_inline bool carries_ports(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP;
}

static __always_inline void put_key_ports(struct flow_key *key, const struct packet *packet)
{
	bool asks = is_echo_request(packet->protocol, packet->icmp_type);

	if (carries_ports(packet)) {
		key->source_port = packet->source_port;
		key->destination_port = packet->destination_port;
	} else if (asks) {
		key->source_port = packet->source_port;
	} else {
		key->destination_port = packet->source_port;
	}
}

/* `word`: how the quoted packet's transport begins. */
static __always_inline bool put_quoted_ports(struct flow_key *key, __u8 protocol, const __be16 *word, bool icmp)
{
	__u8 type = bpf_ntohs(word[0]) >> 8;

	key->protocol = protocol_of_key(protocol);
	if (icmp) {
		*(is_echo_request(protocol, type) ? &key->destination_port : &key->source_port) = word[2];
		return is_echo(protocol, type);
	}
	key->source_port = word[1];
	key->destination_port = word[0];
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* The packet that an ICMP error quotes went the other way: turned round, it is of the same flow as the error. */
static __always_inline bool read_quoted_key(hull_t *hull, const struct packet *packet, struct flow_key *key)
{
	__u32 at = packet->offset + ETH_HLEN + packet->headers;
	__be16 word[4] = {};
	struct iphdr ip;

	if (load_bytes(hull, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return false;
	if (ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET) || load_bytes(hull, at + ip.ihl * 4, word, sizeof(word)))
		return false;
	key->source = ipv4_address(ip.daddr);
	key->destination = ipv4_address(ip.saddr);
	return put_quoted_ports(key, ip.protocol, word, ip.protocol == IPPROTO_ICMP);
}

/* As much of it as a cell sends: without extension headers. */
static __always_inline bool read_quoted_key_ipv6(hull_t *hull, const struct packet *packet, struct flow_key *key)
{
	__u32 at = packet->offset + ETH_HLEN + packet->headers;
	__be16 word[4] = {};
	struct ipv6_header ip;

	if (load_bytes(hull, at, &ip, sizeof(ip)) || bpf_ntohl(ip.version_class_flow) >> 28 != IPV6_VERSION)
		return false;
	if (load_bytes(hull, at + sizeof(ip), word, sizeof(word)))
		return false;
	key->source = ip.destination;
	key->destination = ip.source;
	return put_quoted_ports(key, ip.next, word, ip.next == IPPROTO_ICMPV6) && !is_ipv4(&key->source) && !is_ipv4(&key->destination);
}

static __noinline bool read_quoted_flow(hull_t *hull, const struct packet *packet, struct flow_key *key)
{
	return is_ipv4(&packet->source) ? read_quoted_key(hull, packet, key) : read_quoted_key_ipv6(hull, packet, key);
}

static __always_inline void begin_key(struct course *course, const struct packet *packet)
{
	course->key.vni = course->attachment.vni;
	course->key.interface = course->attachment.interface;
	course->key.protocol = protocol_of_key(packet->protocol);
	course->key.source = packet->source;
	course->key.destination = packet->destination;
}

/* A connection begins with a SYN; any datagram, and whoever asks for an echo, may begin a flow. */
static __always_inline bool may_begin(const struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP)
		return (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	return packet->protocol == IPPROTO_UDP || is_echo_request(packet->protocol, packet->icmp_type);
}

/* Only datagrams are cut. */
static __always_inline enum verdict refuse_fragment(const struct packet *packet)
{
	return packet->fragment && packet->protocol != IPPROTO_UDP ? DROP_CELL_FRAGMENT : CONTINUE;
}

/* K, of what a cell takes: TCP, UDP, echoes, and errors about those. A sweep has keys, and no packets. */
static __noinline __attribute__((unused)) enum verdict find_key(hull_t *hull, struct packet *packet, struct course *course)
{
	enum verdict verdict;

	begin_key(course, packet);
	if (!is_ipv4(&packet->source) && (verdict = admit_ipv6(packet, course)))
		return verdict;
	if (quotes(packet))
		return read_quoted_flow(hull, packet, &course->key) ? CONTINUE : DROP_NO_FLOW;
	if (!carries_ports(packet) && !(carries_icmp(&packet->source, packet->protocol) && is_echo(packet->protocol, packet->icmp_type)))
		return DROP_PROTOCOL;
	put_key_ports(&course->key, packet);
	course->begins = may_begin(packet);
	course->shakes = packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_SYN;
	course->initial_sequence = course->begins && course->shakes ? bpf_ntohl(sequence_of(packet)) : 0;
	return CONTINUE;
}

/* What answers, where the directive is followed, is this flow. */
static __always_inline void turn_key(const struct directive *directive, __u16 protocol, struct flow_key *answers)
{
	__builtin_memset(answers, 0, sizeof(*answers));
	answers->vni = directive->vni;
	answers->interface = directive->interface;
	answers->protocol = protocol;
	answers->source_port = directive->destination_port;
	answers->destination_port = directive->source_port;
	answers->source = directive->destination;
	answers->destination = directive->source;
}

/* ... and this becomes of it: what the first packets had is put back. */
static __always_inline void turn_directive(const struct flow_key *key, const struct directive *directive, struct directive *turned)
{
	*turned = *directive;
	turned->source = key->destination;
	turned->destination = key->source;
	turned->source_port = key->destination_port;
	turned->destination_port = key->source_port;
	turned->vni = key->vni;
	turned->interface = key->interface;
	turned->flags ^= DIRECTIVE_OUTWARD;
}

/* Do the flow's answers come to a port that the cell handed out? */
static __always_inline bool hides_source(const struct flow_key *key, const struct directive *directive)
{
	return directive->flags & DIRECTIVE_OUTWARD && !same_address(&key->source, &directive->source);
}

static __always_inline void know(struct course *course, const struct directive *directive)
{
	course->directive = *directive;
	course->known = true;
	course->answers_keepers = 0;
	turn_key(&course->directive, course->key.protocol, &course->answers);
}

#endif
