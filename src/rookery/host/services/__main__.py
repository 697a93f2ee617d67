"""`python -m rookery.host.services --config /path/host.json`: DHCP, DNS, metadata and time for the instances of one host.

It runs in its host's network namespace, from which it asks upstream resolvers; instances reach it in another."""

from __future__ import annotations

import logging
import resource
import sys
from pathlib import Path

import uvloop

from rookery.ending import until_told
from rookery.host.config import HostConfig, read_config
from rookery.host.services.dns.server import DnsServer
from rookery.host.services.metadata.key import kept_key
from rookery.host.services.process import Services, only_services
from rookery.host.services.view import View
from rookery.host.start import begin
from rookery.log import log_to_stderr

log = logging.getLogger("rookery.host.services")


def run(config: HostConfig) -> int:
    """Until SIGTERM or SIGINT. Raises StartRefused, ValueError for an upstream or a key that is none."""
    log_to_stderr(host=config.name)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every guest may have connections
    with only_services(config):
        uvloop.run(until_told(_serve(config), log, "told to end"))
    return 0


async def _serve(config: HostConfig) -> None:
    view = View()
    resolver, key = DnsServer(view, config.dns_upstreams), kept_key(Path(config.state_directory))
    try:
        await Services(config, view, resolver, key).run()
    finally:
        await resolver.close()


if __name__ == "__main__":
    what = "What instances find on their wire."
    sys.exit(begin("rookery.host.services", what, read_config, run, refusals=(ValueError,)))
