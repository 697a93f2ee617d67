"""GET /metrics, for Prometheus: the metrics of all accounts, so whoever asks shows that he may read the region's files."""

from __future__ import annotations

import hmac
import secrets
import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from rookery.api.metrics_file import MetricsFile
from rookery.api.operation import ApiError
from rookery.files import write_whole
from rookery.metrics.exposition import MEDIA_TYPE, exposition

SHOWN_SECONDS = 600  # what has not been measured for longer is gone, or nobody measures
TOKEN_BYTES = 32


def scrape_token(path: Path) -> str:
    """As the file says; made (mode 0600) if it is missing. Raises OSError."""
    if not path.exists():
        write_whole(path, secrets.token_hex(TOKEN_BYTES).encode() + b"\n")
    return path.read_text(encoding="ascii").strip()


class Scrape:
    def __init__(self, metrics: MetricsFile, token: str):
        self._metrics = metrics
        self._expected = f"Bearer {token}".encode()

    async def respond(self, request: Request) -> Response:
        shown = request.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(shown, self._expected):
            return PlainTextResponse("show the region's scrape.token\n", 401, {"WWW-Authenticate": "Bearer"})
        since = int(time.time()) - SHOWN_SECONDS
        try:
            found = await self._metrics.ask(lambda series: exposition(series.everything(since)))
        except ApiError as error:
            return PlainTextResponse(f"{error.message}\n", 503)
        return Response(found or "", media_type=MEDIA_TYPE)
