"""`python -m rookery.blackfoot --config /path/edge.json`: the agent of one edge, in its edge's network namespace."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from rookery.blackfoot.agent import Agent, DeviceLost, assemble
from rookery.blackfoot.config import EdgeConfig, read_config
from rookery.host.start import StartRefused, only_agent, until_told
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

REFUSED = 2
log = logging.getLogger("rookery.blackfoot")


def main() -> int:
    parser = argparse.ArgumentParser(prog="rookery.blackfoot", description="The agent of one edge.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: rookery/blackfoot/config.py")
    arguments = parser.parse_args()
    try:
        return run(read_config(arguments.config))
    except (StartRefused, CertificateError, msgspec.DecodeError, OSError) as error:
        print(f"rookery.blackfoot: {error}", file=sys.stderr)
        return REFUSED


def run(config: EdgeConfig) -> int:
    """Until SIGTERM or SIGINT. Raises StartRefused, CertificateError."""
    log_to_stderr(host=config.name)
    with only_agent(config):
        state = assemble(config)
        try:
            asyncio.run(until_told(Agent(state).run(), log, "told to end; packets and announcements go on"))
        except ExceptionGroup as ended:
            lost = ended.subgroup(DeviceLost)
            if lost is None:
                raise
            raise StartRefused(str(lost.exceptions[0])) from lost
        finally:
            state.dataplane.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
