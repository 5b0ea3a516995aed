"""The raw reader: objects to files by plain aiohttp, as fast as that goes and with no check.

It runs as a program of its own: FOLDER ENDPOINT BUCKET PROCESSES CONNECTIONS, and the names of
the objects on stdin, one a line. Each process has an event loop and so many connections.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from pathlib import Path
from urllib.parse import quote

import aiohttp
from yarl import URL

CHUNK_BYTES = 256 * 1024
"""As burst reads."""


def main() -> None:
    """Share the names out to processes, and wait for them."""
    folder, endpoint, bucket, processes, connections = sys.argv[1:]
    names = sys.stdin.read().split("\n")[:-1]
    count = int(processes)
    fork = multiprocessing.get_context("fork")
    asked = (Path(folder), f"{endpoint}/storage/v1/b/{bucket}/o/", int(connections))
    started = [
        fork.Process(target=_bring, args=(names[number::count], *asked))
        for number in range(1, count)
    ]
    for process in started:
        process.start()
    _bring(names[0::count], *asked)
    for process in started:
        process.join()
    sys.exit(any(process.exitcode for process in started))


def _bring(names: list[str], folder: Path, base: str, connections: int) -> None:
    asyncio.run(_bring_all(names, folder, base, connections))


async def _bring_all(names: list[str], folder: Path, base: str, connections: int) -> None:
    left = iter(names)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def bring_some() -> None:
            for name in left:
                url = URL(f"{base}{quote(name, safe='')}?alt=media", encoded=True)
                async with session.get(url) as response:
                    response.raise_for_status()
                    await _write(response, folder / name.rpartition("/")[2])

        await asyncio.gather(*(bring_some() for _ in range(connections)))


async def _write(response: aiohttp.ClientResponse, path: Path) -> None:
    sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        while chunk := await response.content.read(CHUNK_BYTES):
            os.write(sink, chunk)
    finally:
        os.close(sink)


if __name__ == "__main__":
    main()
