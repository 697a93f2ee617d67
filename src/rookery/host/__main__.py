"""`python -m rookery.host --config /path/host.json`: the agent of one host, in its host's network namespace."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import msgspec

from rookery.host.agent import Agent, assemble
from rookery.host.config import HostConfig, read_config
from rookery.host.start import StartRefused, only_agent
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

REFUSED = 2


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
            asyncio.run(_until_told(Agent(state)))
        finally:
            state.dataplane.close()
    return 0


async def _until_told(agent: Agent) -> None:
    running = asyncio.current_task()
    assert running is not None
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, running.cancel)
    try:
        await agent.run()
    except asyncio.CancelledError:
        logging.getLogger("rookery.host").info("told to end; packets and instances go on")


if __name__ == "__main__":
    sys.exit(main())
