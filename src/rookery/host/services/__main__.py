"""`python -m rookery.host.services --config /path/host.json`: DHCP, DNS, metadata and time for the instances of one host.

It runs in its host's network namespace, from which it asks upstream resolvers; instances reach it in another."""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import signal
import sys
from pathlib import Path

import msgspec
import uvloop

from rookery.host.config import HostConfig, read_config
from rookery.host.services.dns.server import DnsServer
from rookery.host.services.metadata.key import kept_key
from rookery.host.services.process import ServeRefused, Services, only_services
from rookery.host.services.view import View
from rookery.log import log_to_stderr

REFUSED = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="rookery.host.services", description="What instances find on their wire.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: rookery/host/config.py")
    arguments = parser.parse_args()
    try:
        return run(read_config(arguments.config))
    except (ServeRefused, msgspec.DecodeError, ValueError, OSError) as error:
        print(f"rookery.host.services: {error}", file=sys.stderr)
        return REFUSED


def run(config: HostConfig) -> int:
    """Until SIGTERM or SIGINT. Raises ServeRefused, ValueError for an upstream or a key that is none."""
    log_to_stderr(host=config.name)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every guest may have connections
    with only_services(config):
        uvloop.run(_until_told(config))
    return 0


async def _until_told(config: HostConfig) -> None:
    running = asyncio.current_task()
    assert running is not None
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, running.cancel)
    view = View()
    resolver, key = DnsServer(view, config.dns_upstreams), kept_key(Path(config.state_directory))
    try:
        await Services(config, view, resolver, key).run()
    except asyncio.CancelledError:
        logging.getLogger("rookery.host.services").info("told to end")
    finally:
        await resolver.close()


if __name__ == "__main__":
    sys.exit(main())
