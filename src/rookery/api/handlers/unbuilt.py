"""Parameters of things that are not built are refused by name; those that ask for what is true anyway pass.

Every operation lists what it honours. A parameter that is in no list is refused, so that a new one of botocore's model can
never be ignored silently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rookery.api.errors import unsupported

# What the front has dealt with before a handler runs.
FRONT = frozenset({"DryRun", "ClientToken", "NextToken", "MaxResults"})


def honour_only(
    parameters: Mapping[str, Any],
    honoured: Collection[str],
    true_anyway: Mapping[str, Collection[Any]] | None = None,
) -> None:
    """`honoured`: members the handler obeys, with all below them. `true_anyway`: dotted path -> values that change
    nothing. Raises UnsupportedOperation for any other that is given."""
    for path, value in leaves(parameters):
        top = path.partition(".")[0]
        if top not in honoured and top not in FRONT and value not in (true_anyway or {}).get(path, ()):
            raise unsupported(
                f"The parameter {path} with the value '{value}' is not supported by Rookery yet."
            )


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of everything that was really given: empty structures, lists and strings ask for nothing."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from leaves(member, path)
    elif value is not None and value != "":
        yield path, value
