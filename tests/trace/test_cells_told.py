"""How nodes are called in a trace, where a region has several cells."""

from __future__ import annotations

from rookery.trace.journey import Journey
from rookery.trace.telling import _called


def test_a_trace_names_the_cell_of_a_node_whose_name_does_not_where_there_are_several():
    told = {"hosts": {"100.64.1.212": "node-1", "100.64.11.212": "cell-2-node-1", "100.64.1.10": "host-1"}}
    ends = {"source_instance": "i-1", "source_interface": "eni-1", "source_host": "host-1", "source": "10.0.0.4", "destination": "10.0.0.5"}
    one = Journey(**told, **ends, probe="", next_hop="", cells={"node-1": "cell-1"})
    assert [*_called(one).values()] == ["node-1", "cell-2-node-1", "host-1"]
    two = Journey(**told, **ends, probe="", next_hop="", cells={"node-1": "cell-1", "cell-2-node-1": "cell-2"})
    assert [*_called(two).values()] == ["node-1 (cell-1)", "cell-2-node-1", "host-1"]
