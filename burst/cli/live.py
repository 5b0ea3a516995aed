"""How a watched job looks: a live view on a terminal, else a line for each event."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from burst.cli import console, words
from burst.cli.bringing import transfer
from burst.operations.progress import Note, WatchState
from burst.operations.summary import extent
from burst.protocol.artist_messages import JobView
from burst.protocol.messages import RenderProgress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from burst.operations.frames import Bringing

_WORKER_LINES = 12
_BAR_WIDTH = 32
_STEP_WIDTH = 40
_QUIET_SECONDS = 1.0
"""Files that come sooner are only counted."""


class PlainView:
    """One line an event, for logs and pipes."""

    def bring(self, bringing: Bringing) -> None:
        """Show nothing: frames are told as they are done."""

    def show(self, state: WatchState) -> None:
        """Show nothing: what happens is told as it happens."""

    def note(self, note: Note) -> None:
        """Write the note as a line."""
        console.tell(note.text)


class LiveView:
    """A bar for the job and a line for each worker, below what happened."""

    def __init__(self, screen: Console) -> None:
        """Write what happens to ``screen``; `draw` is the moving part."""
        self._screen = screen
        self._state: WatchState | None = None
        self._heard_at: dict[str, tuple[RenderProgress | None, float]] = {}
        self._shown_at = 0.0
        self._bringing: Bringing | None = None

    def bring(self, bringing: Bringing) -> None:
        """Draw how far it is with bringing files, until they are there."""
        self._bringing = bringing if bringing.files < bringing.files_total else None

    def show(self, state: WatchState) -> None:
        """Draw this state from now on; clocks go on by themselves until the next."""
        now = time.monotonic()
        self._state = state
        self._shown_at = now
        heard = {}
        for name, worker in state.workers.items():
            before = self._heard_at.get(name)
            same = before is not None and before[0] == worker.progress
            heard[name] = before if before is not None and same else (worker.progress, now)
        self._heard_at = heard

    def note(self, note: Note) -> None:
        """Write the note above the bar; frames that are done show in the bar itself."""
        if note.kind != "frame":
            style = "yellow" if note.kind == "trouble" else ""
            self._screen.print(note.text, style=style, markup=False, highlight=False)

    def draw(self) -> RenderableType:
        """Return what is to be seen now."""
        from rich.console import Group
        from rich.text import Text

        if self._state is None:
            return Text("")
        lines: list[RenderableType] = [self._job_line(self._state.job), self._worker_lines()]
        bringing = self._bringing
        if bringing is not None and bringing.seconds > _QUIET_SECONDS:
            lines.append(escape(f"  bringing {transfer(bringing)}"))
        return Group(*lines)

    def _job_line(self, job: JobView) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        so_far = extent(job)
        ahead = str(job.status)
        if job.eta_seconds is not None:
            left = job.eta_seconds - (time.monotonic() - self._shown_at)
            ahead = f"ETA {words.duration(max(0.0, left))}"
        line = Table.grid(padding=(0, 1))
        line.add_row(
            escape(job.name),
            ProgressBar(total=so_far.whole, completed=so_far.done, width=_BAR_WIDTH),
            words.share(so_far),
            f"{100 * so_far.done // max(1, so_far.whole)}%",
            ahead,
        )
        return line

    def _worker_lines(self) -> Table:
        from rich.table import Table

        lines = Table.grid(padding=(0, 2))
        heard = sorted(self._heard_at.items())
        for name, (progress, at) in heard[:_WORKER_LINES]:
            if progress is None:
                continue
            elapsed = progress.elapsed_seconds + time.monotonic() - at
            lines.add_row(
                f"  {name}",
                "" if progress.frame is None else f"frame {progress.frame}",
                words.done(progress) or escape(progress.step[:_STEP_WIDTH]),
                words.size(progress.memory_bytes) if progress.memory_bytes else "",
                words.duration(elapsed),
            )
        if len(heard) > _WORKER_LINES:
            lines.add_row(f"  and {len(heard) - _WORKER_LINES} more")
        return lines


def escape(text: str) -> Text:
    """Return words that come from a file, not to be read as rich's markup."""
    from rich.text import Text

    return Text(text)


@contextmanager
def job_view() -> Iterator[PlainView | LiveView]:
    """Open the view that suits where stderr goes; colours obey ``NO_COLOR``."""
    from rich.console import Console
    from rich.live import Live

    screen = Console(stderr=True)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield PlainView()
        return
    view = LiveView(screen)
    with Live(
        console=screen,
        get_renderable=view.draw,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
    ):
        yield view
