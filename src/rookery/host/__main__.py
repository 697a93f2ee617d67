"""`python -m rookery.host --config /path/host.json`: the agent of one host, in its host's network namespace."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from rookery.host.agent import Agent, assemble
from rookery.host.config import HostConfig, read_config
from rookery.host.start import StartRefused, only_agent, until_told
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

REFUSED = 2
log = logging.getLogger("rookery.host")


def main() -> int:
    parser = argparse.ArgumentParser(prog="rookery.host", description="The agent of one host.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: rookery/host/config.py")
    arguments = parser.parse_args()
    try:
        return run(read_config(arguments.config))
    except (StartRefused, CertificateError, msgspec.DecodeError, OSError) as error:
        print(f"rookery.host: {error}", file=sys.stderr)
        return REFUSED


def run(config: HostConfig) -> int:
    """Until SIGTERM or SIGINT. Raises StartRefused, CertificateError."""
    log_to_stderr(host=config.name)
    with only_agent(config):
        state = assemble(config)
        try:
            asyncio.run(until_told(Agent(state).run(), log, "told to end; packets and instances go on"))
        finally:
            state.dataplane.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
