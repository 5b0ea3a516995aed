"""From a rendered file to a visible frame: proof, upload, report, publish, discard.

The courier is real and talks to a scripted manager; Blender is left out, its frames are
pictures made here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scripted_manager import ScriptedManager, assignment

from burst.errors import StorageAway, StorageDenied, StorageError
from burst.protocol.client import ManagerClient
from burst.protocol.worker_messages import Assignment, AttemptEnded, RegisterWorker
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.worker import courier as courier_module
from burst.worker import finisher as module
from burst.worker.blender import LoadedScene, RenderedFrame
from burst.worker.courier import Courier
from burst.worker.finisher import Finisher, Rendered
from burst.worker.held import Held, HeldAttempts
from burst.worker.outbox import Outbox

SCENE = LoadedScene("Scene", "CYCLES", 8, 4, "PNG", "RGB", 8, (), 0.1)
FINISHED_AT = layout.render("job", "shot_0001.png")


class Rig:
    """A finisher with a real courier and a real storage."""

    def __init__(self, manager: ScriptedManager, folder: Path) -> None:
        self.manager, self.folder = manager, folder
        self.storage = DirectoryStorage(folder / "storage")
        self.held = HeldAttempts()
        self.finisher = Finisher(self.storage, self.held, "structure", 30.0)
        self.outbox = Outbox(folder / "outbox")
        self.client = ManagerClient(manager.url)
        self.courier = Courier(
            self.client, self.outbox, self.held, 1e9, self.finisher.on_verdict, lambda ids: None
        )
        self.courier.register(
            RegisterWorker.model_validate(
                {
                    "name": "w",
                    "pool": "p",
                    "host": "h",
                    "pid": 1,
                    "capabilities": {
                        "blenders": [{"version": [5, 0, 1], "kind": "binary"}],
                        "memory_bytes": 1,
                    },
                    "threads": 1,
                }
            )
        )
        self.finisher.start(self.courier)

    def hand_in(
        self,
        damage: Callable[[Path], None] = lambda path: None,
        frame: int = 1,
        held: Held | None = None,
        beside: tuple[str, ...] = (),
    ) -> Rendered:
        held = held or self.hold(1)
        folder = self.folder / "scratch" / "a1" / str(frame)
        folder.mkdir(parents=True)
        path = folder / f"shot_{frame:04}.png"
        Image.new("RGB", (8, 4), "red").save(path)
        paths = (path, *(folder / name for name in beside))
        for other in paths[1:]:
            other.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGBA", (2, 2), "blue").save(other)
        damage(path)
        rendered = Rendered(held, SCENE, RenderedFrame(frame, paths, 1, 1.0, 10, ()), folder)
        self.finisher.hand_in(rendered)
        return rendered

    def hold(self, *frames: int) -> Held:
        return self.held.add(Assignment.model_validate(assignment("a1", frames)))

    def sent(self) -> list[tuple[str, int | None]]:
        """Return kind and frame of every report, in the order they arrived."""
        bodies = [body for _, body in self.manager.asked]
        return [(r["kind"], r.get("frame")) for body in bodies for r in body.get("reports", ())]

    def reported(self, kind: str, frame: int | None = None) -> dict[str, Any]:
        """Wait for a report of a kind, of one frame if need be, and return it."""

        def one(body: dict[str, Any]) -> list[dict[str, Any]]:
            fit = [report for report in body["reports"] if report["kind"] == kind]
            return [r for r in fit if frame is None or r["frame"] == frame]

        found: dict[str, Any] = one(self.manager.wait_for("beat", lambda body: bool(one(body))))[0]
        return found

    def settle(self) -> None:
        """Wait until nothing is open here and at the manager."""
        deadline = time.monotonic() + 30
        # As the agent does: a verdict that came with the sign-off would be acted on too late.
        while not (self.finisher.wait_until_idle(0.05) and not len(self.outbox)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.courier.sign_off("done")

    def close(self) -> None:
        self.finisher.stop()
        self.courier.sign_off("the test is over")
        self.client.close()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(module, "UPLOAD_PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(module, "PUBLISH_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "AWAY_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(courier_module, "RETRY_SECONDS", 0.001)
    manager = ScriptedManager()
    monkeypatch.setattr(manager, "answer", _judging(manager, "publish"))
    made = Rig(manager, tmp_path)
    yield made
    made.close()
    manager.close()


def _judging(manager: ScriptedManager, answer: str) -> Callable[[str, dict[str, Any]], Any]:
    """Answer finished frames with ``answer`` and everything else with *done*."""
    real = manager.answer

    def judge(call: str, body: dict[str, Any]) -> Any:
        content = real(call, body)
        if isinstance(content, dict) and "verdicts" in content:
            content["verdicts"] = [
                {"answer": answer if report["kind"] == "finished" else "done"}
                for report in body["reports"]
            ]
        return content

    return judge


def test_a_whole_frame_is_uploaded_reported_and_published(rig: Rig) -> None:
    rendered = rig.hand_in()
    report = rig.reported("finished")
    assert report["token"] == "token of a1"
    assert [file["name"] for file in report["files"]] == ["shot_0001.png"]
    assert rig.reported("published")["frame"] == 1
    rig.settle()
    assert rig.storage.missing([FINISHED_AT]) == set()
    assert list(rig.storage.list("attempts/")) == []
    assert len(rig.held) == 0
    assert not rendered.folder.exists()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _other_size(path: Path) -> None:
    Image.new("RGB", (9, 9)).save(path)


def _other_channels(path: Path) -> None:
    Image.new("RGBA", (8, 4)).save(path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "frame 1 is not whole: shot_0001.png is cut"),
        (_other_size, "9 × 9 pixels, not 8 × 4"),
        (_other_channels, "is RGBA, not RGB"),
        (Path.unlink, ""),
    ],
)
def test_a_frame_that_is_not_whole_fails_and_is_never_uploaded(
    rig: Rig, damage: Callable[[Path], None], said: str
) -> None:
    rendered = rig.hand_in(damage)
    report = rig.reported("ended")
    assert report["outcome"] == "failed"
    assert said in report["reason"]
    assert rendered.held.over.is_set()
    rig.settle()
    assert list(rig.storage.list("")) == []
    assert not rig.finisher.has(rendered.held)
    assert len(rig.held) == 0


def test_a_preview_is_stored_before_the_frame_is_reported(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.storage, "publish", _never)
    rig.hand_in()
    rig.reported("finished")
    # Whoever publishes the frame then, and whatever becomes of this worker.
    with Image.open(rig.folder / "storage" / layout.preview("job", 1, "a1")) as image:
        assert image.size == (8, 4)
    rig.finisher.stop()
    rig.settle()


def _never(*arguments: Any) -> None:
    raise StorageError("no answer")


def test_a_frame_without_a_preview_is_published_all_the_same(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.storage, "put_bytes", _never)
    rig.hand_in()
    rig.reported("published")
    rig.settle()
    assert rig.storage.missing([FINISHED_AT]) == set()


def _black(path: Path) -> None:
    Image.new("RGB", (8, 4)).save(path)


def test_a_black_frame_is_published_with_a_warning(rig: Rig) -> None:
    rig.hand_in(_black)
    assert rig.reported("finished")["warnings"] == ["every pixel is black"]
    rig.reported("published")
    rig.settle()


def test_a_file_that_the_first_frame_has_is_missed_in_another(rig: Rig) -> None:
    held = rig.hold(1, 2)
    rig.hand_in(held=held, beside=("aux/a0001.png",))
    rig.hand_in(frame=2, held=held)
    assert rig.reported("finished", 1)["warnings"] == []
    warnings = rig.reported("finished", 2)["warnings"]
    assert warnings == ["there is no aux/a0002.png, but frame 1 has aux/a0001.png"]
    rig.settle()
    assert rig.storage.missing([layout.render("job", "aux/a0001.png")]) == set()


def test_a_cut_file_beside_a_whole_one_keeps_both_from_the_storage(rig: Rig) -> None:
    rig.hand_in(lambda path: _cut(path.parent / "aux/a.png"), beside=("aux/a.png",))
    assert "aux/a.png is cut" in rig.reported("ended")["reason"]
    rig.settle()
    assert list(rig.storage.list("")) == []


def test_a_dropped_frame_leaves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.manager, "answer", _judging(rig.manager, "drop"))
    rig.hand_in()
    rig.reported("finished")
    rig.settle()
    assert list(rig.storage.list("")) == []
    assert len(rig.held) == 0


def test_an_attempt_ends_after_the_verdicts_on_all_its_frames(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    real = rig.manager.answer

    def slow(call: str, body: dict[str, Any]) -> Any:
        answer = real(call, body)
        if any(report["kind"] == "finished" for report in body.get("reports", ())):
            asked.set()
            assert go_on.wait(30)
        return answer

    monkeypatch.setattr(rig.manager, "answer", slow)
    held = rig.hold(1, 2, 3, 4)
    rig.hand_in(held=held)
    assert asked.wait(30)
    rig.hand_in(_cut, frame=2, held=held)
    rig.hand_in(frame=3, held=held)
    assert rig.finisher.wait_until_idle(30)
    rig.finisher.end(_interrupted())
    assert len(rig.outbox) == 2, "an end is reported before the verdicts"
    go_on.set()
    assert "frame 2 is not whole" in rig.reported("ended")["reason"]
    rig.settle()
    kinds = [kind for kind, _ in rig.sent()]
    assert kinds.count("ended") == 1
    assert kinds.index("ended") > max(i for i, kind in enumerate(kinds) if kind == "finished")
    assert sorted(rig.storage.list("renders/")) == [
        layout.render("job", "shot_0001.png"),
        layout.render("job", "shot_0003.png"),
    ]
    assert len(rig.held) == 0


def test_an_attempt_without_rendered_frames_ends_at_once(rig: Rig) -> None:
    rig.hold(1, 2)
    rig.finisher.end(_interrupted())
    assert rig.reported("ended")["outcome"] == "interrupted"
    rig.settle()
    assert len(rig.held) == 0


def test_an_attempt_that_was_completed_meanwhile_has_no_other_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    real = rig.storage.put_file

    def put(source: Path, name: str, sha256: str) -> None:
        assert go_on.wait(30)
        real(source, name, sha256)

    monkeypatch.setattr(rig.storage, "put_file", put)
    rig.hand_in()
    rig.finisher.end(_interrupted())
    go_on.set()
    rig.reported("published")
    rig.settle()
    assert rig.sent() == [("finished", 1), ("published", 1)]


def _interrupted() -> AttemptEnded:
    return AttemptEnded(
        job_id="job", attempt_id="a1", token="token of a1", outcome="interrupted", reason="told to"
    )


@pytest.mark.parametrize("failures", [1, 2])
def test_an_upload_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    real, left = rig.storage.put_file, [StorageError("no answer")] * failures

    def put(source: Path, name: str, sha256: str) -> None:
        if left:
            raise left.pop()
        real(source, name, sha256)

    monkeypatch.setattr(rig.storage, "put_file", put)
    rig.hand_in()
    rig.reported("published")
    rig.settle()
    assert rig.storage.missing([FINISHED_AT]) == set()


def test_an_upload_that_never_succeeds_fails_the_attempt(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def put(source: Path, name: str, sha256: str) -> None:
        tries.append(name)
        raise StorageError("no space left on the disk")

    monkeypatch.setattr(rig.storage, "put_file", put)
    rig.hand_in()
    assert rig.reported("ended")["reason"] == "no space left on the disk"
    assert len(tries) == 3
    rig.settle()


def test_publishing_is_tried_until_it_succeeds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = rig.storage.publish, [StorageError("no answer")] * 7

    def publish(*arguments: Any) -> None:
        if left:
            raise left.pop()
        real(*arguments)

    monkeypatch.setattr(rig.storage, "publish", publish)
    rig.hand_in()
    rig.reported("published")
    rig.settle()
    assert rig.storage.missing([FINISHED_AT]) == set()


def test_a_frame_that_cannot_be_published_keeps_no_other_from_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, works = rig.storage.publish, threading.Event()

    def publish(attempt: str, render: str, *arguments: Any) -> None:
        if render == FINISHED_AT and not works.is_set():
            raise StorageError("no answer")
        real(attempt, render, *arguments)

    monkeypatch.setattr(rig.storage, "publish", publish)
    held = rig.hold(1, 2, 3)
    for frame in (1, 2, 3):
        rig.hand_in(frame=frame, held=held)
    assert {rig.reported("published", frame)["frame"] for frame in (2, 3)} == {2, 3}
    assert ("published", 1) not in rig.sent()
    assert not rig.finisher.wait_until_idle(0)
    works.set()
    rig.reported("published", 1)
    rig.settle()
    assert len(list(rig.storage.list("renders/"))) == 3


def test_what_cannot_be_published_is_given_up_by_a_worker_that_leaves(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def publish(*arguments: Any) -> None:
        tried.set()
        raise StorageError("no answer")

    monkeypatch.setattr(rig.storage, "publish", publish)
    rig.hand_in()
    assert tried.wait(30)
    rig.finisher.stop()
    rig.settle()
    assert rig.sent() == [("finished", 1)]


def test_a_name_that_is_taken_is_not_reported_as_published(rig: Rig) -> None:
    rig.storage.put_bytes(b"a stranger's", FINISHED_AT)
    rig.hand_in()
    rig.reported("finished")
    rig.settle()
    assert rig.storage.get_bytes(FINISHED_AT) == b"a stranger's"
    kinds = {r["kind"] for _, body in rig.manager.asked for r in body.get("reports", ())}
    assert kinds == {"finished"}


def test_a_bug_costs_one_attempt_and_not_the_worker(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*arguments: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(module, "prove", trip)
        rig.hand_in()
        assert "bug" in rig.reported("ended")["reason"]
        assert rig.finisher.wait_until_idle(30)
    rig.hand_in()
    rig.reported("published")
    rig.settle()


def test_rendering_waits_while_too_many_frames_are_on_their_way(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = threading.Event(), threading.Event()
    real = rig.storage.put_file

    def put(source: Path, name: str, sha256: str) -> None:
        begun.set()
        assert go_on.wait(30)
        real(source, name, sha256)

    monkeypatch.setattr(rig.storage, "put_file", put)
    rig.hand_in()
    assert begun.wait(30)
    for _ in range(module.FRAMES_WAITING_MAX - 1):
        assert rig.finisher._places.acquire(blocking=False)
    assert not rig.finisher._places.acquire(blocking=False)
    assert not rig.finisher.wait_until_idle(0)
    go_on.set()
    rig.reported("published")
    rig.settle()
    assert rig.finisher._places.acquire(blocking=False)


@pytest.mark.parametrize("error", [StorageAway, StorageDenied])
def test_what_is_rendered_waits_for_a_storage_that_is_away_and_the_job_is_told_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: type[StorageError]
) -> None:
    real, left = rig.storage.put_file, [error("no answer", hint="look at the network")] * 20

    def put(source: Path, name: str, sha256: str) -> None:
        if left:
            raise left.pop()
        real(source, name, sha256)

    monkeypatch.setattr(rig.storage, "put_file", put)
    rig.hand_in()
    said = "no answer; look at the network"
    rig.manager.wait_for("beat", lambda body: body["trouble"] == said)
    rig.reported("published")
    rig.manager.wait_for("beat", lambda body: any("works again" in t for t in _lines(body)))
    rig.settle()
    assert rig.courier.trouble == ""
    assert rig.storage.missing([FINISHED_AT]) == set()
    told = [text for _, body in rig.manager.asked for text in _lines(body)]
    assert told == [f"{said}; trying again", "the storage works again"]


def _lines(body: dict[str, Any]) -> list[str]:
    return [line["text"] for line in body.get("logs", ())]


@pytest.mark.parametrize("error", [StorageAway, StorageDenied])
def test_a_storage_that_stays_away_interrupts_and_the_worker_rests(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: type[StorageError]
) -> None:
    def put(*arguments: Any) -> None:
        raise error("no answer", hint="look at the network")

    monkeypatch.setattr(rig.storage, "put_file", put)
    monkeypatch.setattr(rig.finisher, "_away_seconds", 0.0)
    rig.hand_in()
    report = rig.reported("ended")
    assert report["outcome"] == "interrupted"
    assert report["reason"] == "no answer; look at the network"
    assert rig.courier.rest.seconds_left > 0
    rig.settle()
    assert list(rig.storage.list("attempts/")) == []


@pytest.mark.parametrize("how", ["stop", "over"])
def test_nothing_is_waited_for_that_is_not_wanted_any_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    tried = threading.Event()

    def put(*arguments: Any) -> None:
        tried.set()
        raise StorageAway("no answer")

    monkeypatch.setattr(rig.storage, "put_file", put)
    monkeypatch.setattr(rig.finisher, "_away_seconds", 1e9)
    rendered = rig.hand_in()
    assert tried.wait(30)
    if how == "stop":
        rig.finisher.stop()
    else:
        rendered.held.over.set()
    assert rig.reported("ended")["outcome"] == "interrupted"
    rig.settle()


def test_the_files_of_a_frame_go_side_by_side_and_so_do_their_names(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_put, real_publish = rig.storage.put_file, rig.storage.publish
    sending, naming = threading.Barrier(3), threading.Barrier(3)

    def put(*arguments: Any) -> None:
        sending.wait(30)
        real_put(*arguments)

    def publish(*arguments: Any) -> None:
        naming.wait(30)
        real_publish(*arguments)

    monkeypatch.setattr(rig.storage, "put_file", put)
    monkeypatch.setattr(rig.storage, "publish", publish)
    rig.hand_in(beside=("aux/a.png", "aux/b.png"))
    rig.reported("published")
    rig.settle()
    assert len(list(rig.storage.list("renders/"))) == 3


def test_a_frame_is_uploaded_while_the_name_of_another_is_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, go_on = rig.storage.publish, threading.Event()

    def publish(*arguments: Any) -> None:
        assert go_on.wait(30)
        real(*arguments)

    monkeypatch.setattr(rig.storage, "publish", publish)
    held = rig.hold(1, 2)
    rig.hand_in(held=held)
    rig.reported("finished", 1)
    rig.hand_in(frame=2, held=held)
    rig.reported("finished", 2)
    go_on.set()
    rig.reported("published", 2)
    rig.settle()
