"""python -m rookery.api --name dev --database PATH --sealing-key PATH --port 4580"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from rookery.api.credentials import CredentialError
from rookery.api.quotas import Quotas
from rookery.api.server import ServerSettings, serve
from rookery.model.defaults import API_PORT, INSTANCE_MTU
from rookery.store.interface import StoreError


def main() -> int:
    arguments = _parser().parse_args()
    try:
        serve(_settings(arguments))
    except (CredentialError, StoreError, msgspec.ValidationError, msgspec.DecodeError) as error:
        print(f"rookery.api: {error}", file=sys.stderr)
        return 2
    return 0


def _settings(arguments: argparse.Namespace) -> ServerSettings:
    return ServerSettings(
        name=arguments.name,
        database=arguments.database,
        sealing_key=arguments.sealing_key,
        port=arguments.port,
        mtu=arguments.mtu,
        series=arguments.series,
        scrape_token=arguments.scrape_token,
        quotas=msgspec.json.decode(arguments.quotas, type=Quotas),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rookery.api", description="The API of a Rookery region.")
    parser.add_argument("--name", required=True, help="of the Rookery region")
    parser.add_argument("--database", required=True, type=Path, help="the store's file")
    parser.add_argument(
        "--sealing-key", required=True, type=Path, help="32 bytes, mode 0600; made if missing"
    )
    parser.add_argument("--series", type=Path, help="the file of metrics")
    parser.add_argument("--scrape-token", type=Path, help="what Prometheus shows at /metrics, mode 0600; made if missing")
    parser.add_argument("--port", type=int, default=API_PORT)
    parser.add_argument("--mtu", type=int, default=INSTANCE_MTU, help="of instances")
    parser.add_argument("--quotas", default="{}", help='JSON, for example {"vpcs": 100}')
    return parser


if __name__ == "__main__":
    sys.exit(main())
