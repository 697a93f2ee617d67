"""Where a cell's file and its nodes' reports lie: a folder of this machine, or an S3-compatible store.

    cells/<cell>                 the file
    reports/<cell>/<node>        what a node last said

StoreAway   it does not answer, or not in time: who reads goes on with what it has, who writes tries again"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

SECONDS = 2.0  # an answer that takes longer is none: the next tick asks again


class StoreAway(Exception):
    """Caught by the controller and by nodes' agents."""


def file_key(cell: str) -> str:
    return f"cells/{cell}"


def report_key(cell: str, node: str) -> str:
    return f"{reports_prefix(cell)}{node}"


def reports_prefix(cell: str) -> str:
    return f"reports/{cell}/"


class ObjectStore:
    """Make it with `opened`. What is put is whole or not there at all."""

    def __init__(self, store: Any):
        self._store = store

    async def get(self, key: str) -> bytes | None:
        """None: there is no such object. Raises StoreAway."""
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._store.get_async(key)
                return bytes(await answer.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError, TimeoutError) as error:
            raise StoreAway(_sentence(key, error)) from error

    async def put(self, key: str, content: bytes) -> None:
        """Raises StoreAway."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._store.put_async(key, content)
        except (BaseError, OSError, TimeoutError) as error:
            raise StoreAway(_sentence(key, error)) from error

    async def tag(self, key: str) -> str:
        """Another whenever the object is put anew with other content; empty: there is none. Cheap. Raises StoreAway."""
        try:
            async with asyncio.timeout(SECONDS):
                return _tag(await self._store.head_async(key))
        except FileNotFoundError:
            return ""
        except (BaseError, OSError, TimeoutError) as error:
            raise StoreAway(_sentence(key, error)) from error

    async def tags(self, prefix: str) -> dict[str, str]:
        """By key, sorted. `prefix` ends at a slash. Raises StoreAway."""
        try:
            async with asyncio.timeout(SECONDS):
                found = {entry["path"]: _tag(entry) async for page in self._store.list(prefix) for entry in page}
        except (BaseError, OSError, TimeoutError) as error:
            raise StoreAway(_sentence(prefix, error)) from error
        return dict(sorted(found.items()))


def _tag(entry: Mapping[str, Any]) -> str:
    return entry["e_tag"] or f"{entry['last_modified']} {entry['size']}"


def _sentence(key: str, error: Exception) -> str:
    return f"the object store does not answer for {key}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def opened(where: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """`where`: a folder (made if it is missing), or s3://bucket/prefix; `options` of S3 as obstore names them (endpoint, region,
    access_key_id, ...), else from the environment. Raises ValueError for anything else."""
    parts = urlsplit(where)
    if parts.scheme == "s3":
        return ObjectStore(_s3(parts.netloc, parts.path.strip("/"), dict(options or {})))
    if parts.scheme or not where.startswith("/"):
        raise ValueError(f"no object store: {where!r}; a folder's whole path, or s3://bucket/prefix")
    Path(where).mkdir(mode=0o700, parents=True, exist_ok=True)
    return ObjectStore(LocalStore(where))


def _s3(bucket: str, prefix: str, options: dict[str, Any]) -> S3Store:
    """Tried once: the next tick is the next try."""
    client: Any = {"allow_http": True} if options.get("endpoint", "").startswith("http://") else {}
    retry: Any = {"max_retries": 0}
    config: Any = {"virtual_hosted_style_request": False, **options}
    return S3Store(bucket, prefix=prefix, config=config, client_options=client, retry_config=retry)
