"""All measurements, one after the other: prints the tables, keeps the data, writes docs/performance.md.

    python -m bench [--quick] [--only path ...]

Each measurement is a program of its own that prints JSON with `--json`; what it prints is kept as it is in bench/results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from bench.report import write_report

HERE = Path(__file__).parent
RESULTS = HERE / "results"
MEASUREMENTS: dict[str, list[str]] = {  # name -> program and its words
    "programs": ["programs"],
    "edges": ["edges"],
    "nodes": ["nodes"],
    "running": ["running"],
    "path": ["path", "--rounds", "7"],
    "rules": ["rules", "rules", "--rounds", "7"],
    "shapes": ["rules", "shapes", "--rounds", "7"],
    "live": ["live"],
    "edge_path": ["edge_path", "--rounds", "7"],
    "edge_moves": ["edge_moves", "--moves", "20"],
    "target_changes": ["target_changes", "--changes", "20"],
    "services": ["services", "--rounds", "7"],
    "propagation": ["propagation"],
    "edge_failover": ["edge_failover"],
    "cell_path": ["cell_path", "--rounds", "7"],
    "cell_sizes": ["cell_path", "sizes", "--rounds", "7"],
    "balancer_path": ["balancer_path", "--rounds", "7"],
    "noisy_tenant": ["noisy_tenant", "--rounds", "7"],
    "cell_tick": ["cell_tick"],
    "api_requests": ["api_requests"],
}
QUICK: dict[str, list[str]] = {  # behind them: the last word counts
    "edges": ["--runs", "80", "--most", "20000"],
    "path": ["--rounds", "2", "--seconds", "1"],
    "rules": ["--rounds", "1"],
    "shapes": ["--rounds", "1"],
    "live": ["--changes", "20"],
    "running": ["--rounds", "1"],
    "edge_path": ["--rounds", "1"],
    "edge_moves": ["--moves", "3"],
    "target_changes": ["--changes", "3"],
    "services": ["--rounds", "1", "--launches", "1", "--seconds", "0.5"],
    "propagation": ["--quick"],
    "edge_failover": ["--kills", "1"],
    "nodes": ["--runs", "400", "--large", "20000"],
    "cell_path": ["--rounds", "1"],
    "cell_sizes": ["--rounds", "1"],
    "balancer_path": ["--rounds", "1"],
    "noisy_tenant": ["--rounds", "1", "--seconds", "1"],
    "cell_tick": ["--rounds", "2"],
}


def run(name: str, words: list[str]) -> dict:
    """One measurement. Raises CalledProcessError: a measurement that fails leaves the last result as it was."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    program, *its_own = MEASUREMENTS[name]
    command = [sys.executable, "-m", f"bench.{program}", *its_own, *words, "--json"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent).stdout
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return json.loads(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing kept: does it run?")
    parser.add_argument("--only", nargs="+", choices=list(MEASUREMENTS), default=list(MEASUREMENTS))
    options = parser.parse_args()
    for name in options.only:
        result = run(name, QUICK.get(name, []) if options.quick else [])
        if not options.quick:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    if not options.quick:
        print(write_report(RESULTS, HERE.parent / "docs" / "performance.md"))


if __name__ == "__main__":
    main()
