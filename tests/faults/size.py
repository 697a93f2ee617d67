"""How much is broken? `ROOKERY_FAULTS`: "small", "whole" (make faults); nothing: only what is short, for the rest takes both processors
for minutes."""

from __future__ import annotations

import os

import pytest

SIZE = os.environ.get("ROOKERY_FAULTS", "")
IS_WHOLE = SIZE == "whole"
only_if_asked = pytest.mark.skipif(not SIZE, reason="minutes of both processors: make faults")
