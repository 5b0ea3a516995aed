"""The server that takes the uploads: `gcs-sink`, a program of the project's own."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
BUCKET = "bench"


@dataclass(frozen=True, slots=True)
class Sink:
    """A server that runs."""

    url: str
    folder: Path
    """For what clients say."""

    def restart_figures(self) -> None:
        """Count from here."""
        self._ask("/_restart", "POST")

    def clear(self) -> None:
        """Forget all objects."""
        self._ask("/_clear", "POST")

    def figures(self) -> dict[str, Any]:
        """Return requests, bytes and the server's own processor time since `restart_figures`."""
        return dict(json.loads(self._ask("/_stats")))

    def objects(self, prefix: str) -> dict[str, tuple[int, int]]:
        """Return size and CRC-32C of each object whose name starts with ``prefix``."""
        found: dict[str, tuple[int, int]] = {}
        token = ""
        while True:
            query = urllib.parse.urlencode({"prefix": prefix, "pageToken": token})
            page = json.loads(self._ask(f"/storage/v1/b/{BUCKET}/o?{query}"))
            for item in page.get("items", []):
                checksum = int.from_bytes(base64.b64decode(item["crc32c"]), "big")
                found[item["name"]] = (int(item["size"]), checksum)
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def _ask(self, path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())


@contextmanager
def running_sink(folder: Path, latency_ms: int, keep: Path | None = None) -> Iterator[Sink]:
    """Run a server that waits so long before it handles a request.

    Bytes are dropped, unless there is a folder to keep them in.
    """
    tool = [str(ROOT / "scripts" / "go-tool"), "gcs-sink"]
    program = subprocess.run(tool, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    command = [program, "-latency", f"{latency_ms}ms", "-buckets", BUCKET]
    command += ["-keep", str(keep)] if keep else []
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(process.stdout.readline().strip(), folder)
    finally:
        process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()
