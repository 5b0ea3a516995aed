"""What is said to be lost with a farm, and what its bucket holds.

Left out here: taking a farm away (tests/integration/test_up_down_google.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from burst.cloud.google_api import GoogleApi
from burst.errors import ClusterError, ClusterUnfit, ClusterUnreachable
from burst.operations import unprovision
from burst.operations.deploy import Removal
from burst.operations.google_farm import Site
from burst.operations.leftovers import Leftovers
from burst.operations.unprovision import (
    Loss,
    Renders,
    _remove_from_cluster,
    _renders,
    _stored,
    take_down_google,
)
from tests.fakes.google_cloud import GoogleCloud


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud() as cloud:
        yield cloud


def test_a_farm_with_nothing_to_do_loses_nothing() -> None:
    assert Loss(()).lines() == ["nothing will be lost"]


def test_unfinished_jobs_and_running_tasks_are_named() -> None:
    names = tuple(f"shot-{number}" for number in range(7))
    (line,) = Loss(names, tasks_active=3).lines()
    assert line == (
        "unfinished jobs will be forgotten, 3 tasks of which run: "
        "shot-0, shot-1, shot-2, shot-3, shot-4 and 2 more"
    )


def test_that_nobody_knows_is_said() -> None:
    (line,) = Loss(None).lines()
    assert "is not known" in line


def test_frames_that_go_are_listed_with_the_way_to_bring_them() -> None:
    lines = Loss((), renders=(Renders("shot", 36, 1_200_000),), is_partial=True).lines()
    assert lines == [
        "frames and scenes in the bucket will be deleted for good:",
        "  shot: 36 files, 1.2 MB",
        "  and more",
        "  bring them first: burst download JOB",
    ]


def test_the_state_goes_while_nobody_else_can_begin_a_farm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []

    @contextmanager
    def held(*_: Any) -> Iterator[None]:
        done.append("held")
        yield
        done.append("let go")

    def note(what: str, answer: object) -> Any:
        def call(*_: Any, **__: Any) -> object:
            done.append(what)
            return answer

        return call

    nothing = Leftovers("film", (), (), {})
    for name, call in {
        "has_state": lambda _: True,
        "held_farm": held,
        "_remove_from_cluster": lambda *_: None,
        "_destroy": note("farm", 3),
        "_destroy_storage": note("storage", 1),
        "_sweep": note("look", nothing),
        "remove_bucket": note("state", None),
    }.items():
        monkeypatch.setattr(unprovision, name, call)
    settings = SimpleNamespace(state_dir=tmp_path)
    farm = SimpleNamespace(name="film", place=tmp_path / "film", settings=settings)
    site = cast("Site", SimpleNamespace(farm=farm, api=None, bucket=SimpleNamespace(name="s")))
    removal = take_down_google(site, everything=True, tell=done.append, hear=lambda _: None)
    assert removal.destroyed == 4
    assert done == ["held", "farm", "storage", "look", "state", "let go"]


class Cluster:
    """A cluster that fails as often as it is to."""

    def __init__(self, *failures: ClusterError) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[str, ...]] = []

    def take_down(self, *_: object) -> Removal:
        if self.failures:
            raise self.failures.pop(0)
        return Removal(("film",), ())

    def run(self, *arguments: str) -> str:
        self.asked.append(arguments)
        return '{"items": []}'

    def objects(self, kind: str) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "state-film"}, "spec": {"volumeName": "pvc-1"}}]

    def delete(self, kind: str, name: str, *, wait: bool) -> None:
        self.asked.append(("delete", kind, name))


STUCK = ClusterError("timed out waiting for the condition on pods/film-cpu-1")


@pytest.mark.parametrize(
    ("failures", "is_forced", "are_claims_deleted", "removed"),
    [
        ((), False, True, ("film",)),
        ((STUCK,), True, True, ("film",)),
        ((STUCK, STUCK), True, True, None),
        ((ClusterUnreachable("nobody answers"),), False, False, None),
        ((STUCK, ClusterUnreachable("nobody answers")), True, False, None),
    ],
)
def test_a_pod_that_never_leaves_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
    failures: tuple[ClusterError, ...],
    is_forced: bool,
    are_claims_deleted: bool,
    removed: tuple[str, ...] | None,
) -> None:
    cluster, told = Cluster(*failures), list[str]()
    settings = SimpleNamespace(cluster=SimpleNamespace(farm="film"))
    monkeypatch.setattr(unprovision, "settle", lambda *_: None)
    monkeypatch.setattr(unprovision, "reach_cluster", lambda _: settings)
    monkeypatch.setattr(unprovision, "kubectl_of", lambda _: cluster)
    monkeypatch.setattr(unprovision, "take_down", cluster.take_down)
    removal = _remove_from_cluster(cast("Site", None), told.append)
    assert (removal.removed if removal else None) == removed
    assert any("--force" in one for one in cluster.asked) == is_forced
    deleted = ("delete", "persistentvolumeclaim", "state-film") in cluster.asked
    assert deleted == are_claims_deleted
    # Each of them is told.
    assert len(told) == len(failures)


def test_a_cluster_without_an_endpoint_goes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def reach(_: Site) -> None:
        raise ClusterUnfit("the cluster film has no endpoint")

    told: list[str] = []
    monkeypatch.setattr(unprovision, "settle", lambda *_: None)
    monkeypatch.setattr(unprovision, "reach_cluster", reach)
    assert _remove_from_cluster(cast("Site", None), told.append) is None
    assert "no endpoint" in told[0]


def test_scenes_that_go_without_a_frame_are_told(cloud: GoogleCloud) -> None:
    api = GoogleApi(cloud.environ, project=cloud.project)
    assert _stored(api, "film-data").lines() == ["nothing will be lost"]
    cloud.plant("buckets", {"name": "film-data"})
    assert _stored(api, "film-data").lines() == ["nothing will be lost"]
    cloud.plant("objects", {"bucket": "film-data", "name": "scenes/a/v1.json", "content": b"{}"})
    (line,) = _stored(api, "film-data").lines()
    assert line == "scenes in the bucket will be deleted for good"


def test_a_bucket_that_cannot_be_listed_is_said_and_ends_nothing(cloud: GoogleCloud) -> None:
    cloud.plant("buckets", {"name": "film-data"})
    cloud.denied.add("storage.objects.list")
    (line,) = _stored(GoogleApi(cloud.environ, project=cloud.project), "film-data").lines()
    assert line == "what the bucket holds is not known, and will be deleted for good"


def test_what_a_bucket_holds_is_counted_by_job(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = GoogleApi(cloud.environ, project=cloud.project)
    assert _renders(api, "film-data") == ((), False)
    cloud.plant("buckets", {"name": "film-data"})
    for name in ("renders/a/1.png", "renders/a/2.png", "renders/a/index.json", "renders/b/1.exr"):
        cloud.plant("objects", {"bucket": "film-data", "name": name, "content": b"abc"})
    cloud.plant("objects", {"bucket": "film-data", "name": "blobs/aa/x", "content": b"abc"})
    assert _renders(api, "film-data") == ((Renders("a", 2, 6), Renders("b", 1, 3)), False)
    # Folders that the console or a mount leaves are no frames.
    for name in ("renders/", "renders/a/", "renders/stray"):
        cloud.plant("objects", {"bucket": "film-data", "name": name, "content": b""})
    assert _renders(api, "film-data") == ((Renders("a", 2, 6), Renders("b", 1, 3)), False)
    monkeypatch.setattr(unprovision, "_MOST_PAGES", 0)
    assert _renders(api, "film-data") == ((), True)
