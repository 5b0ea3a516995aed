"""The worker's program: register, claim, render, leave.

Four threads: the main one claims and renders, the courier beats and carries reports, the
finisher proves, uploads and publishes, and the fourth waits until the machine is taken away.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import queue
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from burst.config.farm import default_cache_dir
from burst.config.machine import memory_limit_bytes
from burst.domain.workers import Capabilities, check_device
from burst.errors import (
    ConfigError,
    EngineUnavailable,
    ManagerUnreachable,
    StateError,
    StorageAway,
)
from burst.protocol.client import ManagerClient
from burst.protocol.worker_messages import AttemptEnded, Registered, RegisterWorker
from burst.scene.source import SceneSource, open_source
from burst.storage.storage import Storage, open_storage
from burst.worker.blender import Blender
from burst.worker.blenders import Blenders
from burst.worker.commands import Allowed
from burst.worker.courier import Courier
from burst.worker.discovery import Installed, find_blenders, forget_blender, probe_blenders
from burst.worker.encode import Encoder, ffmpeg_version
from burst.worker.finisher import Finisher
from burst.worker.health import Checkup, Health
from burst.worker.held import Held, HeldAttempts
from burst.worker.outbox import Outbox
from burst.worker.process import adopt_orphans, left_behind
from burst.worker.settings import WorkerSettings
from burst.worker.task_runner import TaskRunner
from burst.worker.trust import Cage, open_cage

log = logging.getLogger(__name__)

POLL_SECONDS = 10.0
"""How long a claim stays open while there is no task."""

FINISH_SECONDS = 3.0
"""What rendered frames have to be published when the machine is taken away. Together with
the sign-off it stays well inside the 15 s that GKE leaves a pod."""

LEAVE_SECONDS = 9.0
"""When the process is gone for certain, then. Whoever takes machines away gives 10 s or more."""

SETTLE_SECONDS = 120.0
"""What they have when the worker leaves by itself."""

LOOK_SECONDS = 0.05

SWITCH_SECONDS = 0.0005
"""How long one of our threads may keep Python from the others. While the finisher proves a frame
the main thread gives Blender the next one, and would wait for up to 5 ms again and again."""


def run_worker(settings: WorkerSettings) -> int:
    """Run a worker until it has nothing to do or is told to leave; return its exit status.

    Raises:
        BurstError: there is no usable Blender, device, storage or work folder; or the worker
            found that it can't render any more.
        ManagerUnreachable: the manager was away for too long.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    # A GPU that is asked for by name is looked for again each time: a driver may be gone.
    fresh = settings.device not in ("auto", "cpu")
    programs = find_blenders(settings.blender)
    installed = probe_blenders(programs, default_cache_dir(), fresh=fresh)
    check_device(settings.device, [one.facts for one in installed])
    if settings.storage_url is None:
        raise ConfigError("a worker needs BURST_STORAGE_URL: where scenes and frames live")
    storage = open_storage(settings.storage_url)
    token = settings.worker_token.get_secret_value() if settings.worker_token else None
    with _held_home(settings.home), ManagerClient(settings.manager_url, token) as client:
        with ThreadPoolExecutor(1) as beside:
            # It remembers the answer, which is asked for soon.
            beside.submit(ffmpeg_version)
            source = open_source(
                settings.scenes, storage, settings.scenes_cache_dir, settings.scenes_cache_bytes
            )
            cage = _open_cage(settings, source.blobs, installed)
        return _Agent(settings, storage, source, client, installed, cage).run()


def _open_cage(
    settings: WorkerSettings, blobs: Path, installed: tuple[Installed, ...]
) -> Cage | None:
    """Make the cage of every Blender, and say once what it does not hold."""
    if settings.cage == "off":
        log.warning("Blender runs without a cage: BURST_CAGE is off")
        return None
    programs = [(one.program, one.facts) for one in installed]
    cage, lacks = open_cage(settings.home / "scenes", blobs, programs)
    if lacks:
        log.warning("Blender runs without a cage: %s", lacks)
    return cage


class _Agent:
    """All parts of one running worker."""

    def __init__(
        self,
        settings: WorkerSettings,
        storage: Storage,
        source: SceneSource,
        client: ManagerClient,
        installed: tuple[Installed, ...],
        cage: Cage | None,
    ) -> None:
        self._settings = settings
        self._memory_bytes = settings.memory_limit_bytes or memory_limit_bytes()
        self._capabilities = Capabilities(
            blenders=tuple(one.facts for one in installed),
            device=settings.device,
            memory_bytes=self._memory_bytes,
            ffmpeg=ffmpeg_version(),
        )
        self._held = HeldAttempts()
        scratch = settings.home / "scratch"
        self._finisher = Finisher(
            storage, self._held, settings.verify, settings.storage_away_seconds
        )
        self._outbox = Outbox(settings.home / "outbox")
        self._courier = Courier(
            client,
            self._outbox,
            self._held,
            settings.manager_away_seconds,
            self._finisher.on_verdict,
            self._on_cancel,
        )
        self._cage = cage
        self._blenders = Blenders(
            installed, self._capabilities, self._blender, lambda text: self._tasks.hear(text)
        )
        self._tasks = TaskRunner(
            self._blenders,
            storage,
            source,
            self._courier,
            self._finisher,
            settings.home,
            Allowed(
                Encoder(storage, client.inputs, self._blenders, cage).encode,
                self._memory_bytes,
                settings.threads,
            ),
        )
        self._health = Health()
        self._checkup = Checkup(scratch / "checkup", cage)
        self._fault = ""
        """Why this worker can't render any more; empty while it can."""
        self._preempted = False
        self._taken_away: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Signals that tell the worker to leave."""
        self._evacuated = threading.Event()

    def _blender(self, installed: Installed) -> Blender:
        settings = self._settings
        return Blender(
            installed.program,
            installed.facts,
            scratch=settings.home / "scratch" / "blender",
            threads=settings.threads,
            memory_limit_bytes=self._memory_bytes,
            first_progress_seconds=settings.first_progress_seconds,
            progress_seconds=settings.progress_seconds,
            on_line=lambda text: self._tasks.hear(text),
            cage=self._cage,
        )

    def run(self) -> int:
        """Work until it is time to leave."""
        adopt_orphans()
        threading.Thread(target=self._leave_in_time, name="preemption", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._finisher.start(self._courier)
        try:
            reason = self._serve()
        except ManagerUnreachable:
            if not self._preempted:
                raise
            reason = "told to leave while the manager was away"
        finally:
            self._tasks.close()
            shutil.rmtree(self._settings.home / "scratch", ignore_errors=True)
        log.info("worker leaves: %s", reason)
        if left_behind():
            raise StorageAway(reason, hint="look whether the scenes are mounted on this machine")
        if self._fault:
            raise EngineUnavailable(
                reason, hint="look after Blender, and the GPU's driver, on this machine"
            )
        return 0

    def _serve(self) -> str:
        """Register and work, and again if the manager gave this worker up meanwhile."""
        while True:
            self._courier.deliver_leftovers()
            terms = self._courier.register(self._introduction())
            log.info("worker %s registered", self._settings.worker_name)
            reason = self._work(terms)
            if self._preempted:
                self._evacuated.wait()
                return reason
            if not self._courier.orders.gone.is_set():
                break
            log.warning("the manager gave this worker up; starting afresh")
            self._drop_everything()
        if self._courier.orders.away.is_set():
            self._finisher.stop()
            seconds = self._settings.manager_away_seconds
            raise ManagerUnreachable(f"the manager was away for more than {seconds:.0f} s")
        self._settle(SETTLE_SECONDS)
        self._courier.sign_off(reason)
        return reason

    def _work(self, terms: Registered) -> str:
        """Claim and render until there is a reason to stop; return it."""
        idle_since = time.monotonic()
        while (reason := self._reason_to_stop()) is None:
            left = POLL_SECONDS
            if terms.idle_exit_seconds is not None and not len(self._held):
                left = terms.idle_exit_seconds - (time.monotonic() - idle_since)
            assignment = self._courier.claim(min(POLL_SECONDS, max(0.0, left)))
            if assignment is not None:
                # The courier holds what it claims, so it can't be missing here.
                held = self._held.get(assignment.attempt_id)
                wanted = not self._preempted and not self._courier.orders.gone.is_set()
                if held and wanted:
                    self._tasks.run(held)
                    self._look_after_itself(held)
                idle_since = time.monotonic()
            elif left <= 0:
                return "nothing to do"
            elif len(self._held):
                # A claim with reports, or with orders, is answered at once.
                time.sleep(LOOK_SECONDS)
        return reason

    def _reason_to_stop(self) -> str | None:
        orders = self._courier.orders
        if self._preempted:
            return "preempted"
        if orders.gone.is_set():
            return "given up by the manager"
        if orders.away.is_set():
            return "the manager is away"
        if left_behind():
            return "this worker can't render any more: a process waits in the kernel, and stays"
        if self._fault:
            return f"this worker can't render any more: {self._fault}"
        if orders.drain.is_set():
            return "drained"
        return None

    def _look_after_itself(self, held: Held) -> None:
        """Doubt a Blender that fails again and again, and try it with a scene of our own."""
        use = self._blenders.take_last_use()
        if use is None or not self._health.note(held.assignment.job_id, use):
            return
        what = f"Blender {use.installed.facts.label} on {use.device}"
        log.warning("%s fails again and again: trying a scene of a few pixels", what)
        fault = self._checkup.find_fault(use)
        if self._preempted:
            return
        if not fault:
            log.info("%s renders it; going on", what)
            self._health.trust(use)
            return
        # Whoever starts here next has to find out for itself.
        forget_blender(use.installed.program, use.device, default_cache_dir())
        self._fault = f"{what}: {fault}"

    def _drop_everything(self) -> None:
        """Forget what was held: the manager has given it to others."""
        self._held.end(self._held.ids())
        self._finisher.wait_until_idle(SETTLE_SECONDS)
        for attempt_id in self._held.ids():
            self._held.drop(attempt_id)

    def _on_cancel(self, attempt_ids: tuple[str, ...]) -> None:
        """Stop what the manager does not want any more; what is rendered awaits its verdict."""
        for held in self._held.end(attempt_ids):
            if not self._finisher.has(held):
                self._held.drop(held.assignment.attempt_id)
        self._tasks.cancel(attempt_ids)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # The main thread may hold any lock at this moment, that of an event too. To put
        # something in a simple queue is allowed even while it is put there.
        self._preempted = True
        self._taken_away.put(number)

    def _leave_in_time(self) -> None:
        """When the machine is taken away: leave, whatever any other thread waits for."""
        number = self._taken_away.get()
        self._taken_away.put(number)
        threading.Thread(target=self._evacuate, name="evacuation", daemon=True).start()
        time.sleep(LEAVE_SECONDS)
        # A copy to a disk that does not answer, say. Blender and whatever a command started
        # die with this process; what is left in scratch is cleared at the next start.
        log.warning("left in the middle of something that did not end in time")
        os._exit(1)

    def _evacuate(self) -> None:
        """When the machine is taken away: interrupt, say so, publish what is rendered, leave."""
        self._taken_away.get()
        self._checkup.stop()
        for held in self._held.all():
            if held.over.is_set():
                # Its end is known to the manager, or on its way.
                continue
            assignment = held.assignment
            held.over.set()
            self._finisher.end(
                AttemptEnded(
                    job_id=assignment.job_id,
                    attempt_id=assignment.attempt_id,
                    token=assignment.token,
                    outcome="interrupted",
                    reason="the worker was told to leave",
                )
            )
        self._settle(FINISH_SECONDS, stop_rendering=True)
        self._finisher.stop()
        self._courier.sign_off("told to leave")
        self._evacuated.set()

    def _settle(self, seconds: float, *, stop_rendering: bool = False) -> None:
        """Wait until every rendered frame is published and every report answered."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if stop_rendering:
                # Again and again: the main thread may just be starting another Blender.
                self._tasks.stop()
            if self._finisher.wait_until_idle(LOOK_SECONDS) and not len(self._outbox):
                return
            time.sleep(LOOK_SECONDS)

    def _introduction(self) -> RegisterWorker:
        return RegisterWorker(
            name=self._settings.worker_name,
            pool=self._settings.worker_pool,
            host=socket.gethostname(),
            pid=os.getpid(),
            capabilities=self._capabilities,
            threads=self._settings.threads,
        )


@contextlib.contextmanager
def _held_home(home: Path) -> Iterator[None]:
    """Hold the work folder for this worker alone, and clear what an earlier life left in it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"can't use {home} as a worker's folder: {error.strerror}",
            hint="name another one with BURST_WORK_DIR",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"another worker uses {home}", hint="name another folder with BURST_WORK_DIR"
            ) from error
        shutil.rmtree(home / "scratch", ignore_errors=True)
        yield
    finally:
        os.close(lock)
