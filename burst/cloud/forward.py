"""A port of a pod as a port of this machine: ``kubectl port-forward``, kept alive.

kubectl ends, or goes on of no use, when its pod goes. A thread starts it again, on the same port
here as long as nobody else took that, so that an address stays good over restarts of the pod.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

from burst.cloud.kubectl import Kubectl, refusal
from burst.errors import BurstError, ClusterUnreachable

START_SECONDS = 60.0
"""How long a first connection may take: the pod may be on its way to another node."""

_POD_SECONDS = 20
"""How long one kubectl waits for a pod that runs, before another one looks anew."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
_BROKEN = re.compile(r"error occurred forwarding|error forwarding|error creating|lost connection")
"""Not ``error copying``: a client hung up, and all is well."""
_COMING = re.compile(r"timed out waiting|pod is not running")
"""The pod is on its way."""
_TAKEN = re.compile(r"unable to listen|address already in use")

_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Has the kernel end kubectl with burst, however that ends."""


class Forward:
    """A port of a pod, on a free port of the loopback, until it is closed."""

    def __init__(self, kubectl: Kubectl, target: str, port: int) -> None:
        """Begin to connect; `wait` for it.

        Args:
            kubectl: of the cluster.
            target: a pod, or what has one: ``statefulset/farm-manager``.
            port: of the pod; what listens there may do so on the pod's loopback only.

        Raises:
            ToolMissing: there is no kubectl.
        """
        # Asked here, for the thread has nobody to tell.
        self._begin = kubectl.command(
            "port-forward", "--address", "127.0.0.1", f"--pod-running-timeout={_POD_SECONDS}s"
        )
        self._target = target
        self._port = port
        self._local_port = 0
        self._opened = False
        self._ready = threading.Event()
        self._closed = threading.Event()
        self._failed = threading.Event()
        self._words: list[str] = []
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.restarts = 0
        self._thread = threading.Thread(target=self._supervise, name="port-forward", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the port is found on this machine."""
        return f"http://127.0.0.1:{self._local_port}"

    @property
    def is_ready(self) -> bool:
        """Whether something listens here, as far as is known."""
        return self._ready.is_set()

    @property
    def said(self) -> str:
        """What kubectl said last."""
        return self._words[-1] if self._words else ""

    @property
    def is_pod_away(self) -> bool:
        """Whether the cluster answers, and the pod is on its way at best."""
        return bool(_COMING.search("\n".join(self._words)))

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Return when the port can be reached.

        Raises:
            ClusterError: it can't be; what kubectl said last is the reason.
        """
        waited = 0.0
        while waited < seconds and not self._ready.wait(0.05):
            waited += 0.05
            if self._failed.is_set():
                break
        if not self._ready.is_set():
            raise self._refusal()

    def renew(self) -> None:
        """Start over: somebody found that nothing comes through any more."""
        with self._lock:
            self._ready.clear()
            self._end_child()

    def close(self) -> None:
        """End it."""
        self._closed.set()
        with self._lock:
            self._end_child()
        self._thread.join(timeout=5)

    def _supervise(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            was_ready = self._run()
            if self._closed.is_set():
                return
            self.restarts += 1
            # The first connection tells whether there is anything to connect to at all.
            if not self._opened and not self._may_pass():
                self._failed.set()
                return
            pause = _FIRST_PAUSE_SECONDS if was_ready else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._closed.wait(pause)

    def _run(self) -> bool:
        """Run one kubectl to its end; say whether it ever forwarded."""
        with self._lock:
            if self._closed.is_set():
                return False
            child = self._child = self._spawn()
        self._words = []
        was_ready = False
        for line in child.stdout or ():
            self._words = [*self._words[-9:], line.strip()]
            if found := _READY.search(line):
                self._local_port = int(found[1])
                was_ready = self._opened = True
                self._ready.set()
            elif _BROKEN.search(line):
                break
            elif _TAKEN.search(line):
                self._local_port = 0
        self._ready.clear()
        with self._lock:
            self._end_child()
        if child.stdout:
            child.stdout.close()
        return was_ready

    def _spawn(self) -> subprocess.Popen[str]:
        here = str(self._local_port or "")
        command = [*self._begin, self._target, f"{here}:{self._port}"]
        if sys.platform == "linux":
            own = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid())]
            command = [*own, *command]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a Ctrl-C is for burst to act on
        )

    def _end_child(self) -> None:
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.terminate()
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _may_pass(self) -> bool:
        """Say whether another try may help: an API server, or a pod, that is just away."""
        return isinstance(self._refusal(), ClusterUnreachable)

    def _refusal(self) -> BurstError:
        said = "\n".join(self._words)
        if self.is_pod_away or not self._words or _BROKEN.search(said):
            last = f": {self.said.removeprefix('error: ')}" if self.said else ""
            return ClusterUnreachable(
                f"{self._target} can't be reached{last}", hint="see: kubectl get pods"
            )
        return refusal(said, "kubectl port-forward")
