"""`python -m rookery.hyperplane --config /path/node.json`: the agent of one node of a cell, in its node's network namespace."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from rookery.host.start import StartRefused, only_agent, until_told
from rookery.hyperplane.agent import Agent, DeviceLost, assemble
from rookery.hyperplane.config import CellNodeConfig, read_config
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

REFUSED = 2
log = logging.getLogger("rookery.hyperplane")


def main() -> int:
    parser = argparse.ArgumentParser(prog="rookery.hyperplane", description="The agent of one node of a cell.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: rookery/hyperplane/config.py")
    arguments = parser.parse_args()
    try:
        return run(read_config(arguments.config))
    except (StartRefused, CertificateError, msgspec.DecodeError, OSError, ValueError) as error:
        print(f"rookery.hyperplane: {error}", file=sys.stderr)
        return REFUSED


def run(config: CellNodeConfig) -> int:
    """Until SIGTERM or SIGINT. Raises StartRefused, CertificateError."""
    log_to_stderr(host=config.name)
    with only_agent(config):
        state = assemble(config)
        try:
            asyncio.run(until_told(Agent(state).run(), log, "told to end; packets go on"))
        except* DeviceLost as lost:
            raise StartRefused(str(lost.exceptions[0])) from lost
        finally:
            state.dataplane.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
