"""`python -m rookery.host --config /path/host.json`: the agent of one host, in its host's network namespace."""

from __future__ import annotations

import asyncio
import logging
import sys

from rookery.ending import until_told
from rookery.host.agent import Agent, assemble
from rookery.host.config import HostConfig, read_config
from rookery.host.start import begin, only_agent
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

log = logging.getLogger("rookery.host")


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
    sys.exit(begin("rookery.host", "The agent of one host.", read_config, run, refusals=(CertificateError,)))
