"""An artist with a farm on a stand-in of Google Cloud: a folder, a burst.toml, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider.mirror import is_real, make_mirror, terraform

FARM, ZONE, REGION = "film", "europe-west4-a", "europe-west4"
PATIENCE_SECONDS = 120.0 * (5 if is_real() else 1)

_TABLES = """
[google]
project = "{project}"
zone = "{zone}"
poll_interval = "50ms"

[cluster]
farm = "{farm}"

[pools.spot]
machine = "n2d-standard-8"
spot = true
maximum = 4
"""


@dataclass(frozen=True)
class Said:
    """What came of a command."""

    status: int
    output: str
    """What is for programs."""
    words: str
    """What is for people, in one line."""


@dataclass
class Artist:
    """Who types the commands."""

    cloud: GoogleCloud
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, more: str = "", *, zone: str = ZONE, farm: str = FARM) -> None:
        """Write the burst.toml."""
        text = _TABLES.format(project=self.cloud.project, zone=zone, farm=farm)
        (self.folder / "burst.toml").write_text(text + more, "utf-8")

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes to files of its own."""
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "burst", *arguments],
                cwd=self.folder,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def end(self, process: subprocess.Popen[bytes]) -> Said:
        """Wait for a command."""
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()
        words = " ".join((self.folder / "err").read_text("utf-8").split())
        return Said(process.returncode, (self.folder / "out").read_text("utf-8"), words)

    def run(self, *arguments: str, **environ: str) -> Said:
        """Run a command to its end."""
        return self.end(self.start(*arguments, **environ))

    def up(self, *arguments: str, **environ: str) -> Said:
        """Make the farm's half at Google."""
        return self.run("up", "--yes", "--cluster-only", *arguments, **environ)

    def down(self, *arguments: str) -> Said:
        """Take it away."""
        return self.run("down", "--yes", *arguments)


@contextmanager
def an_artist(folder: Path, environ: Mapping[str, str]) -> Iterator[Artist]:
    """Have one, in a folder that is empty."""
    program = Path(terraform()).resolve().parent
    with GoogleCloud(operation_seconds=0.02) as cloud:
        home = folder / "home"
        home.mkdir()
        own = {
            **{key: value for key, value in environ.items() if not key.startswith("BURST_")},
            **cloud.environ,
            "TF_CLI_CONFIG_FILE": str(make_mirror(folder)),
            "PATH": os.pathsep.join([str(program), environ.get("PATH", os.defpath)]),
            "HOME": str(home),
            "COLUMNS": "200",
            "BURST_STATE_DIR": str(folder / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
        }
        artist = Artist(cloud, folder, own)
        artist.write()
        yield artist
