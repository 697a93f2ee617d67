/* SPDX-License-Identifier: GPL-2.0-only */
/* No program: every format that Python reads too, named once, so that clang writes it into BTF
 * (python -m rookery.dataplane.generate). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "formats/maps.h"
#include "formats/verdict.h"

struct formats {
	struct interface_config interface_config;
	struct mapping_key mapping_key;
	struct mapping mapping;
	struct local_interface_key local_interface_key;
	struct local_interface local_interface;
	struct route_key route_key;
	struct route route;
	struct substrate_config substrate_config;
	struct counter_key counter_key;
	struct substrate_port substrate_port;
	struct traffic traffic;
	struct busy_counter busy_counter;
	struct event event;
	enum interface_flag interface_flag;
	enum mapping_kind mapping_kind;
	enum route_kind route_kind;
	enum route_constant route_constant;
	enum busy_constant busy_constant;
	enum verdict verdict;
	enum program program;
	enum step step;
	enum what_if_mark what_if_mark;
	enum what_if_outcome what_if_outcome;
} all_formats SEC("formats");
