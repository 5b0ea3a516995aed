"""What Terraform does, as it does it: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from burst.cli import console, words
from burst.cli.progress import Line

if TYPE_CHECKING:
    from burst.cloud.terraform_events import Event
    from burst.cloud.terraform_plan import Change
    from burst.cloud.terraform_times import Estimate

_DOING = {"create": "making", "update": "changing", "delete": "removing", "read": "reading"}
_DONE = {"create": "made", "update": "changed", "delete": "removed"}
_WISHES = {
    "create": "to make",
    "update": "to change",
    "replace": "to make anew",
    "delete": "to remove",
    "import": "to take over",
    "forget": "to forget",
}
_TICK_SECONDS = 1.0
_SAID_EVERY_SECONDS = 60.0
"""How often a line is said for the same thing, where nothing can move."""

_KINDS = {
    "google_artifact_registry_repository": "registry",
    "google_artifact_registry_repository_iam_member": "right on the registry:",
    "google_compute_network": "network",
    "google_compute_subnetwork": "subnetwork",
    "google_container_cluster": "cluster",
    "google_container_node_pool": "node pool",
    "google_dns_managed_zone": "private DNS zone",
    "google_dns_record_set": "DNS record",
    "google_project_iam_custom_role": "role",
    "google_project_iam_member": "right in the project:",
    "google_project_service": "API",
    "google_service_account": "service account",
    "google_storage_bucket": "bucket",
    "google_storage_bucket_iam_member": "right on the bucket:",
}
"""By Terraform's type: what people call it."""
_PARTS = re.compile(r'(?P<name>[^.\[]+)(?:\["(?P<key>[^"]*)"\])?')
_RECORD = "google_dns_record_set"
_ONLY = frozenset({"this", "data", "images"})
"""Names of resources of which a module has one."""
_KEPT = "google_project_service"
"""An API stays on, though Terraform forgets of it that it is."""


class TerraformProgress:
    """Hears what Terraform says, and shows it."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, line: Line | None = None
    ) -> None:
        """Begin with nothing to do.

        Args:
            clock: in seconds.
            line: what moves on a terminal.
        """
        self._clock = clock
        self._line = line or Line()
        self._lock = threading.RLock()
        self._running: dict[str, tuple[str, float]] = {}
        self._done = 0
        self._total = 0
        self._began_at = clock()
        self._takes: Estimate | None = None
        self._said: dict[str, float] = {}

    def expect(self, total: int, takes: Estimate | None) -> None:
        """Know how many resources are to be changed, and how long that takes by past runs."""
        self._total, self._takes, self._began_at = total, takes, self._clock()

    def hear(self, event: Event) -> None:
        """Take in what was said."""
        with self._lock:
            self._take_in(event)
            self.tick()

    def tick(self) -> None:
        """Show how far it is by now."""
        with self._lock:
            if self._running:
                self._line.show(self._words)

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            self._line.clear()

    def _take_in(self, event: Event) -> None:
        from burst.cloud import terraform_events as said

        match event:
            case said.Started(_, resource, action):
                self._running[resource.address] = (action, self._clock())
            case said.Completed(_, resource, action, seconds):
                self._running.pop(resource.address, None)
                if action in _DONE:
                    self._done += 1
                if action in _DONE and (action, resource.type) != ("delete", _KEPT):
                    self._tell(f"{_DONE[action]} {title(resource.address)} ({seconds:.0f} s)")
            case said.Failed(_, resource, _, _):
                self._running.pop(resource.address, None)
            case said.Progressed(_, resource, action, seconds):
                self._still(resource.address, action, seconds)
            case said.Diagnostic(_, "warning", summary, _, _):
                self._tell(f"note: {summary}")
            case _:
                pass

    def _tell(self, text: str) -> None:
        self._line.clear()
        console.tell(text)

    def _still(self, address: str, action: str, seconds: float) -> None:
        if self._line.is_shown or seconds - self._said.get(address, 0.0) < _SAID_EVERY_SECONDS:
            return
        self._said[address] = seconds
        took = words.duration(seconds)
        self._tell(f"still {_DOING.get(action, action)} {title(address)}, for {took} now")

    def _words(self) -> str:
        address, (action, since) = min(self._running.items(), key=lambda one: one[1][1])
        doing = f"{_DOING.get(action, action)} {title(address)}"
        more = len(self._running) - 1
        parts = [
            f"{self._done} of {self._total}" if self._total else "",
            f"{doing}{f' and {more} more' if more else ''}",
            words.duration(self._clock() - since),
            self._left(),
        ]
        return ", ".join(part for part in parts if part)

    def _left(self) -> str:
        from burst.cloud.terraform_times import remaining

        left = self._takes and remaining(self._takes, self._clock() - self._began_at)
        return f"about {words.duration(left)} left" if left else ""


@contextmanager
def terraform_progress() -> Iterator[TerraformProgress]:
    """Open a line that follows Terraform; gone at the end."""
    progress, ended = TerraformProgress(), threading.Event()

    def tick() -> None:
        # Terraform itself speaks every ten seconds.
        while not ended.wait(_TICK_SECONDS):
            progress.tick()

    ticking = threading.Thread(target=tick, name="terraform progress", daemon=True)
    ticking.start()
    try:
        yield progress
    finally:
        ended.set()
        ticking.join()
        progress.clear()


def title(address: str) -> str:
    """Return what a resource is, for people: ``node pool cpu`` rather than its address."""
    parts = [(found["name"], found["key"]) for found in _PARTS.finditer(address)]
    (kind, _), (name, key) = parts[-2:]
    modules = [key for _, key in parts[:-2] if key]
    # Of what there is for each of several things, the thing says enough; of records there are two.
    is_told = bool(key) and kind != _RECORD
    own = [] if name in _ONLY or is_told else [name.replace("_", " ")]
    return " ".join([_kind(kind), *modules, *own, *([key] if key else [])])


def _kind(type_: str) -> str:
    return _KINDS.get(type_, type_.removeprefix("google_").replace("_", " "))


def change_lines(changes: Iterable[Change], drift: Iterable[Change] = ()) -> list[str]:
    """Return what is to be done: by kind what is new, and each by name what is not.

    Args:
        changes: what is to be done.
        drift: what is not as it was left.
    """
    lines = [
        f"not as burst left it: {title(one.address)} "
        f"({'is gone' if one.action == 'delete' else 'was changed'})"
        for one in drift
    ]
    made = list(changes)
    for action, wish in _WISHES.items():
        found = [one for one in made if one.action == action]
        if not found:
            continue
        lines.append(f"{wish}: {words.count(len(found), 'resource')}")
        if action == "create":
            kinds = Counter(_kind(one.type).rstrip(":") for one in found)
            lines += [f"  {kind}{f' × {many}' if many > 1 else ''}" for kind, many in kinds.items()]
        else:
            lines += [f"  {title(one.address)}" for one in found]
    return lines
