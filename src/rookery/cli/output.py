"""How commands print: tables for people, JSON for programs, progress on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

WIDE = 400


def print_json(data: Any) -> None:
    import msgspec  # noqa: PLC0415 - `--help` must not wait for it

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.measure import Measurement  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if table.columns:
        table.columns[-1].no_wrap = False
    console = Console(highlight=False)
    # An id that is broken cannot be copied, and into a pipe no line is broken: the next program reads lines.
    needed = Measurement.get(console, console.options.update(max_width=WIDE), table).minimum
    console.width = max(console.width, needed) if sys.stdout.isatty() else WIDE
    console.print(table)


def progress() -> Callable[[str], None]:
    """Each line with the seconds since the first."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {what}", file=sys.stderr, flush=True)

    return tell


def ago(when: float) -> str:
    """'3 s', '5 min', '2 h', '4 d'; empty for never."""
    if not when:
        return ""
    seconds = max(0, int(time.time() - when))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
