"""A scene that reads from many places, its right pixels, and a farm over a bucket to render it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.fakes.blenders import RealBlender, real_blender
from tests.fakes.emulator import Emulator, running_emulator
from tests.fakes.farm import Farm, Program, poll, running_farm
from tests.fakes.gate import Gate, running_gate

MAKE = Path(__file__).with_name("make_scene_with_caches.py")
FRAMES = 3
SECONDS = 120


@dataclass(frozen=True)
class Made:
    """The scene, and what a Blender that was started on it without burst makes of it."""

    real: RealBlender
    blend: Path
    pixels: dict[int, bytes]


def make(folder: Path, facts: Path) -> Made:
    """Make the scene with the bpy of this machine, or skip the test."""
    real = real_blender("bpy", facts)
    top = folder / "art"
    real.run(MAKE, folder, str(top))
    blend = top / "film/shot/main.blend"
    real.animate(blend, str(folder / "plain_"), 1, FRAMES)
    right = {n: pixels((folder / f"plain_{n:04}.png").read_bytes()) for n in _frames()}
    assert len(set(right.values())) == FRAMES
    return Made(real, blend, right)


@dataclass(frozen=True)
class Job:
    """One job on a farm over a bucket."""

    farm: Farm
    made: Made
    gate: Gate
    job_id: str

    @property
    def emulator(self) -> Emulator:
        """Where the bucket is, past the gate."""
        return self.gate.emulator

    @property
    def asked(self) -> list[str]:
        """What the farm has asked the bucket."""
        return self.gate.asked

    def start_worker(self, name: str, scenes: str, **more: str) -> Program:
        """Start a worker that has its scenes from there."""
        settings = {"BURST_BLENDER": str(self.made.real.program), "BURST_SCENES": scenes}
        return self.farm.start_worker(name, **(settings | more))

    def outcomes(self) -> list[str]:
        """Return how attempts ended, the oldest first."""
        rows = self.farm.rows("SELECT status FROM attempts ORDER BY started_at")
        return [row["status"] for row in rows]

    def reasons(self) -> str:
        """Return what the manager was told of them."""
        return "\n".join(str(row) for row in self.farm.rows("SELECT * FROM attempts"))

    def wait(self, worker: Program, status: str = "completed", seconds: float = SECONDS) -> None:
        """Wait for the job's end."""

        def words() -> str:
            return f"{worker.words()}\n{self.reasons()}\n{self.farm.logs()}"

        poll(lambda: self.farm.job_status(self.job_id) == status, words, seconds)

    def wrong_frames(self) -> list[int]:
        """Return the frames whose pixels are not those of the original folder."""
        found = self.farm.published_files(self.job_id)
        frames = {int(Path(name).stem[-4:]): pixels(data) for name, (_, data) in found.items()}
        assert sorted(frames) == list(_frames())
        return [number for number in frames if frames[number] != self.made.pixels[number]]

    def blobs(self) -> list[Path]:
        """Return the files of the emulator that hold blobs."""
        everything = (self.emulator.folder / self.emulator.bucket).rglob("*")
        return [path for path in everything if path.is_file() and len(path.name) == 64]

    def changed_blobs(self) -> list[str]:
        """Return the blobs whose content is not what their name says."""
        return [
            path.name
            for path in self.blobs()
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
        ]


@contextmanager
def submitted(folder: Path, made: Made) -> Iterator[Job]:
    """Run a manager over a bucket, with the scene and a job in it, and no worker yet."""
    settings = {"BURST_IDLE_EXIT_SECONDS": "60", "BURST_EXIT_WHEN_IDLE_SECONDS": "600"}
    with (
        running_emulator(folder / "emulator") as emulator,
        running_gate(emulator) as gate,
        running_farm(folder / "farm", gate, **settings) as farm,
    ):
        farm.start_manager(BURST_WORKERS="0")
        words = ["submit", str(made.blend), "--local", "--frames", f"1-{FRAMES}"]
        words += ["--blender", str(made.real.program), "--output", str(farm.root / "out")]
        program = farm.start(*words, BURST_BLENDER=str(made.real.program))
        assert program.wait() == 0, program.words()
        yield Job(farm, made, gate, program.said.read_text("utf-8").strip())


def _frames() -> range:
    return range(1, FRAMES + 1)


def pixels(png: bytes) -> bytes:
    """Return what is to be seen, without what is told of it."""
    with Image.open(BytesIO(png)) as image:
        return image.convert("RGBA").tobytes()
