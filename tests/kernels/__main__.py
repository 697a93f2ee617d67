"""python -m tests.kernels COMMAND...: runs it in this checkout under Debian's own kernel, and ends as it did. Wants `make guests`."""

from __future__ import annotations

import sys

from rookery.vm.kernel import newest
from tests.kernels.machine import CHECKOUT, run

WITHIN = 600.0  # seconds, emulated


def main(command: tuple[str, ...]) -> int:
    ended = run(newest(CHECKOUT / "build" / "kernels"), command, WITHIN)
    print(ended.output, end="")
    if ended.code is None:
        print(ended.console, file=sys.stderr)
    return 1 if ended.code is None else ended.code


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
