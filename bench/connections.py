"""Both ends of connections through a balancer, for bench.target_changes.

    python -m bench.connections serve NAME               in a target: tells everybody its name
    python -m bench.connections ask ADDRESS SECONDS      in a client: a new connection every ten milliseconds; prints who answered, and when it
                                                         began, by the machine's clock
"""

from __future__ import annotations

import asyncio
import sys
import time

PORT = 80
EVERY = 0.01  # seconds
PATIENCE = 2.0  # seconds


async def serve(name: str) -> None:
    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name.encode())
        writer.close()

    server = await asyncio.start_server(tell, "0.0.0.0", PORT)
    print("ready", flush=True)
    await server.serve_forever()


async def ask(address: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as asking:
        while (began := time.monotonic()) < end:
            asking.create_task(_ask_once(address))
            await asyncio.sleep(began + EVERY - time.monotonic())


async def _ask_once(address: str) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(address, PORT)
            told = await reader.read()
        writer.close()
    except (OSError, TimeoutError):
        told = b""
    print(told.decode() or "-", began, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[2]) if sys.argv[1] == "serve" else ask(sys.argv[2], float(sys.argv[3])))
