"""What a person reads when the kernel refuses an object. The objects are made here: ours load."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rookery.dataplane.errors import LoadFailed
from rookery.dataplane.libbpf import BpfObject
from tests.dataplane.objects import CHECKOUT

TURNS = 10_000  # six instructions each: a log of megabytes, in a quarter of a second
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
    """As the project's own are; the name is that of the refused in the messages."""
    made = folder / "refused.bpf.o"
    words = ["make", "-s", "-C", str(CHECKOUT / "bpf"), f"OUT={folder}", f"OBJECTS={made}", f"VPATH={folder}"]
    (folder / "refused.bpf.c").write_text(source)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return BpfObject(made)


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
