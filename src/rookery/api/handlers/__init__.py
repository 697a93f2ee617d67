"""One module per kind of thing; importing it registers its operations."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """All of them."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
