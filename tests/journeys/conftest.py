"""A region for journeys that cross the edge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dataplane import edges
from tests.dataplane.edges import Region


@pytest.fixture(scope="module", params=("tc", "xdp"))
def one_region(request: pytest.FixtureRequest) -> Iterator[Region]:
    """With an edge of either build."""
    with edges.region(build=request.param) as made:
        yield made


@pytest.fixture
def whole(one_region: Region) -> Region:
    """Three hosts and an edge, loaded once, their tables as in the plan."""
    one_region.restore()
    return one_region
