"""Who may use the API: the sealing key, the first access key, further ones, and what a client's shell needs."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from rookery.api.accounts import reset
from rookery.api.credentials import CredentialError, add_key, create_sealing_key, read_sealing_key
from rookery.files import write_whole
from rookery.model import keys
from rookery.region.errors import RegionError
from rookery.region.layout import CHECKOUT, DEFAULT_ACCOUNT, DEFAULT_AWS_REGION, Layout
from rookery.region.settings import Settings
from rookery.region.status import current
from rookery.store.interface import Store, StoreError
from rookery.store.sqlite import opened

ACCOUNT = re.compile(r"[0-9]{12}")
T = TypeVar("T")

# What a shell may hold from work with AWS itself, and what would win over, or spoil, what `env` exports.
IN_THE_WAY = (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


class FirstKey(msgspec.Struct, frozen=True):
    """Of the default account; made with the region, kept for its life (<state>/access-key.json, 0600)."""

    access_key: str
    secret: str


def ensure_first_key(settings: Settings) -> None:
    """The file first, then the store: a crash between the two is mended by the next `up`."""
    plan = settings.layout
    sealing_key = create_sealing_key(plan.sealing_key)
    path = _first_key_file(plan)
    if not path.exists():
        write_whole(path, msgspec.json.encode(_random_key()))
    first = _first_key(plan)

    async def register(store: Store) -> None:
        if await store.get(keys.credential_key(first.access_key)) is None:
            await add_key(store, sealing_key, first.access_key, first.secret, DEFAULT_ACCOUNT)

    asyncio.run(_with_store(plan.database, register))


def register_key(name: str, access: str, secret: str, account: str) -> None:
    """Adds or replaces. Raises RegionError with what is wrong with the pair or the account."""
    plan = current(name).layout

    async def register(store: Store) -> None:
        await add_key(store, read_sealing_key(plan.sealing_key), access, secret, account)

    try:
        asyncio.run(_with_store(plan.database, register))
    except (ValueError, CredentialError, StoreError) as refused:
        raise RegionError(str(refused)) from refused


def reset_account(name: str, account: str) -> list[str]:
    """The AWS regions in which it now has a default VPC and nothing else. Raises RegionError."""
    plan = current(name).layout
    if not ACCOUNT.fullmatch(account):
        raise RegionError(f"{account!r} is no account: it has 12 digits")

    return asyncio.run(_with_store(plan.database, partial(reset, account=account)))


def client_environment(name: str) -> dict[str, str]:
    """Variables of a shell whose AWS clients shall talk to this region."""
    shape = current(name)
    first = _first_key(shape.layout)
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{shape.port}",
        "AWS_ACCESS_KEY_ID": first.access_key,
        "AWS_SECRET_ACCESS_KEY": first.secret,
        "AWS_DEFAULT_REGION": DEFAULT_AWS_REGION,
        "AWS_REGION": DEFAULT_AWS_REGION,
    }
    return variables | _aws_on_path()


def in_the_way(environment: Mapping[str, str]) -> list[str]:
    """Names of variables of this environment that a shell must forget before its AWS clients talk to the region."""
    return [name for name in IN_THE_WAY if name in environment]


def _aws_on_path() -> dict[str, str]:
    """A machine without the AWS CLI can use the one of this checkout; appended, so that nothing else is hidden."""
    ours = CHECKOUT / ".venv" / "bin"
    if shutil.which("aws") or not (ours / "aws").exists():
        return {}
    return {"PATH": f"{os.environ.get('PATH', '')}:{ours}"}


def _random_key() -> FirstKey:
    """In AWS's shape: clients check the length of neither, people recognise both."""
    access = "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode()
    return FirstKey(access, secrets.token_hex(20))


def _first_key_file(plan: Layout) -> Path:
    return plan.state / "access-key.json"


def _first_key(plan: Layout) -> FirstKey:
    path = _first_key_file(plan)
    try:
        return msgspec.json.decode(path.read_bytes(), type=FirstKey)
    except (OSError, msgspec.DecodeError) as broken:
        raise RegionError(f"the first access key in {path} cannot be read: {broken}") from broken


async def _with_store(database: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    async with opened(database) as store:
        return await work(store)
