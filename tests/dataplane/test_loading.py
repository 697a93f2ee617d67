"""What a person reads when the kernel refuses an object, made here for that; and how far ours are from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rookery.dataplane.errors import LoadFailed
from rookery.dataplane.libbpf import BpfObject
from rookery.dataplane.verified import INSTRUCTIONS, STACK, Cost, cost, costs, line
from tests.dataplane.objects import CHECKOUT, built_objects

TURNS = 5_000  # six instructions each: a log of megabytes
LONG_PATH = f"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int long_path(struct __sk_buff *skb)
{{
	__u64 sum = skb->mark;

	for (int turn = 0; turn < {TURNS}; turn++) {{
		sum += bpf_get_prandom_u32() & 7; /* so that no state is like one before */
		asm volatile("" : "+r"(sum));
	}}
	return *(int *)(long)sum;
}}
"""
MAP_WITHOUT_ROOM = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 0);
	__type(key, __u32);
	__type(value, __u64);
} roomless SEC(".maps");

SEC("tc")
int look(struct __sk_buff *skb)
{
	__u32 key = skb->mark;

	return bpf_map_lookup_elem(&roomless, &key) != 0;
}
"""


def built(source: str, folder: Path) -> BpfObject:
    return BpfObject(object_file(source, "refused", folder))


def object_file(source: str, name: str, folder: Path) -> Path:
    """As the project's own are made."""
    made = folder / f"{name}.bpf.o"
    words = ["make", "-s", "-C", str(CHECKOUT / "bpf"), f"OUT={folder}", f"OBJECTS={made}", f"VPATH={folder}"]
    (folder / f"{name}.bpf.c").write_text(source)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def refusal(source: str, program: str, folder: Path) -> str:
    refused = built(source, folder)
    try:
        with pytest.raises(LoadFailed) as raised:
            refused.load(program)
    finally:
        refused.close()
    return str(raised.value)


def test_a_refused_program_shows_the_end_of_the_verifiers_log_however_long_it_is(tmp_path: Path) -> None:
    said = refusal(LONG_PATH, "long_path", tmp_path)
    assert "does not load: Permission denied" in said
    assert "invalid mem access" in said
    assert f"processed {6 * TURNS}"[:-2] in said


def test_a_refused_map_is_named(tmp_path: Path) -> None:
    said = refusal(MAP_WITHOUT_ROOM, "look", tmp_path)
    assert "does not load: Invalid argument" in said
    assert "roomless" in said


def test_a_quarter_of_the_instructions_is_left_for_the_next_stage_and_the_stack_is_enough_for_debians_kernel() -> None:
    """Under that kernel too (tests/kernels), which follows other paths."""
    found = dict(costs(built_objects()))
    assert {"hyperplane", "host_egress", "host_ingress", "blackfoot_inward", "blackfoot_outward.xdp"} <= found.keys()
    assert {name: line(name, taken) for name, taken in found.items() if not is_within(taken)} == {}


def is_within(taken: Cost | LoadFailed) -> bool:
    return isinstance(taken, Cost) and taken.instructions <= INSTRUCTIONS * 3 // 4 and taken.stack <= STACK


def test_the_cost_of_a_refused_program_is_its_refusal(tmp_path: Path) -> None:
    made = object_file(LONG_PATH, "long_path", tmp_path)
    with pytest.raises(LoadFailed, match="invalid mem access"):
        cost(made)
    ((name, refused),) = costs(tmp_path)
    assert line(name, refused).startswith("long_path               refused: ")
