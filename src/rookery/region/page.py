"""A server of the emulated internet: tells who asks by which address it is seen, and sends as many bytes as are wanted.

    GET /            "192.0.2.80 sees you as 203.0.113.5"
    GET /bytes/1000  1000 bytes, at most MOST
    ?rate=100000     so many bytes a second

Its log says who came (RFC 1918 addresses never do).
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from urllib.parse import parse_qs, urlsplit

from rookery.log import log_to_stderr

PORT = 80
MOST = 1 << 30
PIECE = 16_384

log = logging.getLogger("rookery.internet")


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/":
            self._say(f"{self.connection.getsockname()[0]} sees you as {self.client_address[0]}\n")
        elif asked.path.startswith("/bytes/") and asked.path[7:].isdecimal():
            rate = parse_qs(asked.query).get("rate", ["0"])[0]
            self._send(min(int(asked.path[7:]), MOST), int(rate) if rate.isdecimal() else 0)
        else:
            self.send_error(404)

    def _say(self, text: str) -> None:
        self._begin(len(text), "text/plain")
        self.wfile.write(text.encode())

    def _send(self, size: int, rate: int) -> None:
        """`rate` 0: as fast as it goes."""
        self._begin(size, "application/octet-stream")
        began, sent = time.monotonic(), 0
        while sent < size:
            piece = min(PIECE, size - sent)
            self.wfile.write(bytes(piece))
            sent += piece
            if rate:
                time.sleep(max(0.0, sent / rate - (time.monotonic() - began)))

    def _begin(self, size: int, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        log.info("%s: %s", self.client_address[0], format % arguments)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str):
        self.address_family = AF_INET6 if ":" in address else AF_INET
        super().__init__((address, PORT), Page)

    def server_bind(self) -> None:
        """HTTPServer's would look for the name of its address."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), PORT

    def handle_error(self, request: object, client_address: object) -> None:
        log.info("%s went away", client_address)


def main() -> None:
    parser = argparse.ArgumentParser(prog="rookery.region.page", description="A server of the emulated internet.")
    parser.add_argument("--name", required=True, help="The region's.")
    parser.add_argument("--listen", action="append", required=True, metavar="ADDRESS")
    arguments = parser.parse_args()
    log_to_stderr(region_name=arguments.name)
    servers = [Server(address) for address in arguments.listen]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
