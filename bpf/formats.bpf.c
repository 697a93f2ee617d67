/* SPDX-License-Identifier: GPL-2.0-only */
/* No program: every format that Python reads too, named once, so that clang writes it into BTF
 * (python -m rookery.dataplane.generate). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "formats/cell.h"
#include "formats/chain.h"
#include "formats/edge.h"
#include "formats/maps.h"
#include "formats/services.h"
#include "formats/verdict.h"

struct formats {
	struct interface_config interface_config;
	struct gates gates;
	struct mapping_key mapping_key;
	struct mapping mapping;
	struct delegated_key delegated_key;
	struct forwarder_key forwarder_key;
	struct forwarder forwarder;
	struct peering_key peering_key;
	struct peering peering;
	struct local_interface_key local_interface_key;
	struct local_interface local_interface;
	struct route_key route_key;
	struct route route;
	struct rule_bits rule_bits;
	struct rule_address_key rule_address_key;
	struct rule_group_key rule_group_key;
	struct rule_port_key rule_port_key;
	struct rule_ports rule_ports;
	struct connection_key connection_key;
	struct connection connection;
	struct sweep_outcome sweep_outcome;
	struct allowance allowance;
	struct fragment_key fragment_key;
	struct fragment_ports fragment_ports;
	struct substrate_config substrate_config;
	struct counter_key counter_key;
	struct substrate_port substrate_port;
	struct traffic traffic;
	struct busy_counter busy_counter;
	struct event event;
	struct edge_set edge_set;
	struct edge_node edge_node;
	struct gateway gateway;
	struct public_key public_key;
	struct public public;
	struct translation translation;
	struct block_key block_key;
	struct block block;
	struct uplink_config uplink_config;
	enum edge_constant edge_constant;
	enum gateway_flag gateway_flag;
	enum uplink_flag uplink_flag;
	struct top_set top_set;
	struct cell_node cell_node;
	struct cell_presence cell_presence;
	struct cell_config cell_config;
	struct attachment_key attachment_key;
	struct attachment attachment;
	struct flows_held flows_held;
	enum measure_way measure_way;
	enum measure_protocol measure_protocol;
	enum measure measure;
	struct nat_address_key nat_address_key;
	struct nat_address nat_address;
	struct cell_service_key cell_service_key;
	struct cell_service cell_service;
	struct cell_target cell_target;
	struct flow_key flow_key;
	struct directive directive;
	struct cell_choices cell_choices;
	struct tracker tracker;
	struct cached_directive cached_directive;
	struct leaving_key leaving_key;
	struct leaving leaving;
	struct flow_sweep_outcome flow_sweep_outcome;
	struct rest_search rest_search;
	struct check_way check_way;
	struct checks_config checks_config;
	enum cell_constant cell_constant;
	enum cell_node_flag cell_node_flag;
	enum attachment_kind attachment_kind;
	enum attachment_flag attachment_flag;
	enum service_flag service_flag;
	enum target_flag target_flag;
	enum directive_flag directive_flag;
	enum chain_step chain_step;
	enum chain_flag chain_flag;
	struct caller caller;
	struct services_config services_config;
	struct service_budget service_budget;
	enum interface_flag interface_flag;
	enum direction direction;
	enum rule_constant rule_constant;
	enum open_family open_family;
	enum echo_side echo_side;
	enum connection_state connection_state;
	enum idle_seconds idle_seconds;
	enum mapping_kind mapping_kind;
	enum route_kind route_kind;
	enum route_constant route_constant;
	enum busy_constant busy_constant;
	enum member_constant member_constant;
	enum service service;
	enum service_port service_port;
	enum caller_source caller_source;
	enum asked_at asked_at;
	enum caller_constant caller_constant;
	enum service_limit service_limit;
	enum verdict verdict;
	enum program program;
	enum step step;
	enum what_if_mark what_if_mark;
	enum what_if_outcome what_if_outcome;
	struct what_if_note what_if_note;
} all_formats SEC("formats");
