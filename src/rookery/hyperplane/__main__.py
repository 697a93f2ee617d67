"""`python -m rookery.hyperplane --config /path/node.json`: the agent of one node of a cell, in its node's network namespace."""

from __future__ import annotations

import asyncio
import logging
import sys

from rookery.ending import until_told
from rookery.host.start import begin, ends_with_its_devices, only_agent
from rookery.hyperplane.agent import Agent, assemble
from rookery.hyperplane.config import CellNodeConfig, read_config
from rookery.log import log_to_stderr
from rookery.mapping.certificates import CertificateError

log = logging.getLogger("rookery.hyperplane")


def run(config: CellNodeConfig) -> int:
    """Until SIGTERM or SIGINT. Raises StartRefused, CertificateError."""
    log_to_stderr(host=config.name)
    with only_agent(config):
        state = assemble(config)
        try:
            with ends_with_its_devices():
                asyncio.run(until_told(Agent(state).run(), log, "told to end; packets go on"))
        finally:
            state.dataplane.close()
    return 0


if __name__ == "__main__":
    refusals = (CertificateError, ValueError)
    sys.exit(begin("rookery.hyperplane", "The agent of one node of a cell.", read_config, run, refusals=refusals))
