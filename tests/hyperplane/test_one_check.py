"""One check of each protocol, over real sockets of the loopback."""

from __future__ import annotations

import asyncio
import socket

import pytest

from rookery.hyperplane.health import FAILED, PASSED, TIMEOUT, WRONG_CODE
from rookery.hyperplane.one_check import result_of
from tests.dataplane.proxy_header import CRC32C, LENGTH, NOTHING, SIGNATURE, crc32c, tlv
from tests.hyperplane.target_servers import (
    LOOPBACK,
    SILENCE,
    certificate,
    check,
    closed_port,
    loopback,
    serving,
)


def result(asked) -> str:
    async def work():
        return await result_of(asked, *loopback(*asked.key.way))

    return asyncio.run(work())


def answered(answer: object, secured: bool = False, **settings) -> tuple[str, list[bytes]]:
    async def work():
        async with serving(secured) as server:
            server.answer = answer
            asked = check(server.port, protocol="HTTPS" if secured else "HTTP", **settings)
            return await result_of(asked, *loopback(*asked.key.way)), server.heard

    return asyncio.run(work())


def test_who_accepts_a_connection_passes_by_tcp():
    async def work():
        async with serving() as server:
            return await result_of(check(server.port), *loopback(1, 7, "10.1.8.4"))

    assert asyncio.run(work()) == PASSED


@pytest.mark.parametrize("protocol", ["TCP", "HTTP", "HTTPS"])
def test_who_does_not_accept_one_fails(protocol):
    assert result(check(closed_port(), protocol=protocol)) == FAILED


def test_the_port_of_the_check_is_the_targets_own_unless_another_is_said():
    async def work():
        async with serving() as server:
            own = check(closed_port(), port=server.port)
            return await result_of(own, *loopback(*own.key.way))

    assert asyncio.run(work()) == PASSED


@pytest.mark.parametrize("secured", [False, True])
def test_a_check_by_http_asks_for_its_path_in_the_name_of_the_balancer(secured):
    found, (heard,) = answered(b"HTTP/1.1 200 OK\r\n\r\n", secured, path="/up?deep=1")
    assert found == PASSED
    request, *headers = heard.decode().split("\r\n")
    assert request == "GET /up?deep=1 HTTP/1.1"
    assert "Host: 10.1.0.7:8443" in headers
    assert "User-Agent: ELB-HealthChecker/2.0" in headers
    assert "Connection: close" in headers


@pytest.mark.parametrize(
    ("code", "matcher", "told"),
    [
        (200, "200-399", PASSED),
        (302, "200-399", PASSED),
        (404, "200-399", WRONG_CODE),
        (503, "200-399", WRONG_CODE),
        (404, "200,404", PASSED),
        (201, "200,404", WRONG_CODE),
    ],
)
def test_the_matcher_says_which_codes_pass(code, matcher, told):
    assert answered(b"HTTP/1.0 %d Because\r\nServer: x\r\n\r\nbody" % code, matcher=matcher)[0] == told


def test_nobody_waits_for_a_body():
    assert answered(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")[0] == PASSED


def test_a_provisional_answer_is_no_answer():
    assert answered(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\n\r\n")[0] == WRONG_CODE


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000])
def test_what_is_not_http_fails(answer):
    assert answered(answer)[0] == FAILED


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_who_hangs_up_fails(protocol):
    async def work():
        listening = await asyncio.start_server(lambda _, writer: writer.transport.abort(), LOOPBACK, 0)
        asked = check(listening.sockets[0].getsockname()[1], protocol=protocol)
        try:
            return await result_of(asked, *loopback(*asked.key.way))
        finally:
            listening.close()

    assert asyncio.run(work()) == FAILED


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_who_accepts_and_says_nothing_takes_too_long(protocol):
    """To HTTPS not even its own greeting."""

    async def work():
        async with serving() as server:
            server.answer = SILENCE
            asked = check(server.port, protocol=protocol, timeout=0.1)
            return await result_of(asked, *loopback(*asked.key.way))

    assert asyncio.run(work()) == TIMEOUT


def test_plain_http_is_no_answer_to_https():
    async def work():
        async with serving() as server:
            asked = check(server.port, protocol="HTTPS", timeout=0.5)
            return await result_of(asked, *loopback(*asked.key.way))

    assert asyncio.run(work()) in {FAILED, TIMEOUT}


def answer_behind_header(listening: socket.socket, protocol: str, heard: list[bytes]) -> None:
    """One connection: its first bytes, then what it asks, by TLS or not."""
    connection, _ = listening.accept()
    with connection:
        heard.append(connection.recv(LENGTH, socket.MSG_WAITALL))
        if protocol == "TCP":
            heard.append(connection.recv(1))
            return
        with certificate().wrap_socket(connection, server_side=True) if protocol == "HTTPS" else connection as plain:
            heard.append(plain.recv(1000))
            plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize(("protocol", "then"), [("TCP", b""), ("HTTP", b"GET / HTTP/1.1\r\n"), ("HTTPS", b"GET / HTTP/1.1\r\n")])
def test_the_proxy_protocols_header_comes_first_and_names_no_client(protocol, then):
    """7.3; before TLS, and by TCP alone, too. Its checksum is right."""
    heard: list[bytes] = []

    async def work():
        with socket.create_server((LOOPBACK, 0)) as listening:
            listening.settimeout(5)
            asked = check(listening.getsockname()[1], protocol=protocol, proxy_protocol=True)
            served = asyncio.create_task(asyncio.to_thread(answer_behind_header, listening, protocol, heard))
            found = await result_of(asked, *loopback(*asked.key.way))
            await served
            return found

    assert asyncio.run(work()) == PASSED
    header, rest = heard
    assert (header[:12], header[12], header[14:16], len(header)) == (SIGNATURE, 0x20, b"\x00\x54", LENGTH)
    assert header[16:] == tlv(CRC32C, header[19:23]) + tlv(NOTHING, bytes(74))
    assert int.from_bytes(header[19:23], "big") == crc32c(header[:19] + bytes(4) + header[23:])
    assert rest[: len(then)] == then and bool(then) is bool(rest)
