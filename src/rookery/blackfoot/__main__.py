"""`python -m rookery.blackfoot --config /path/edge.json`: the agent of one edge, in its edge's network namespace."""

from __future__ import annotations

import asyncio
import logging
import sys

from rookery.blackfoot.agent import Agent, assemble
from rookery.blackfoot.config import EdgeConfig, read_config
from rookery.ending import until_told
from rookery.host.start import begin, ends_with_its_devices, only_agent
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

log = logging.getLogger("rookery.blackfoot")


def run(config: EdgeConfig) -> int:
    """Until SIGTERM or SIGINT. Raises StartRefused, CertificateError."""
    log_to_stderr(host=config.name)
    with only_agent(config):
        state = assemble(config)
        try:
            with ends_with_its_devices():
                asyncio.run(until_told(Agent(state).run(), log, "told to end; packets and announcements go on"))
        finally:
            state.dataplane.close()
    return 0


if __name__ == "__main__":
    sys.exit(begin("rookery.blackfoot", "The agent of one edge.", read_config, run, refusals=(CertificateError,)))
