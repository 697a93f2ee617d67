"""The wire that the tests of this folder share: see wire.py for the topology."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.metadata.wire import Wire, laid


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    with laid() as made:
        yield made
