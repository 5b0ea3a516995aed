"""Images by Cloud Build: what it is asked, how its log is followed, and what goes wrong.

The services are stand-ins. Left out: that Google's build what they are asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.cloud.cloud_build import BUILD_ENDPOINT, CloudBuild, Place, is_googles, place_of
from burst.cloud.images import Recipe
from burst.errors import BuildFailed, ToolError, UsageError
from tests.fakes.cloud_build import GENERATION, CloudBuildServer, running_cloud_build

REGISTRY = "europe-west1-docker.pkg.dev/my-project/burst"
RECIPE = Recipe(
    f"{REGISTRY}/burst-manager:1", "images/manager/Containerfile", {"BASE": "x"}, {"label": "y"}
)


@pytest.fixture
def google() -> Iterator[CloudBuildServer]:
    with running_cloud_build() as server:
        yield server


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "file").write_text("content")
    return folder


def builder(google: CloudBuildServer) -> CloudBuild:
    environ = {BUILD_ENDPOINT: google.url, "STORAGE_EMULATOR_HOST": google.url}
    return CloudBuild(place_of(REGISTRY), environ, pause=lambda _: None)


@pytest.mark.parametrize(
    ("registry", "place"),
    [
        (REGISTRY, Place("my-project", "europe-west1")),
        ("us-docker.pkg.dev/p/r/deeper", Place("p", "global")),
        ("eu.gcr.io/p", Place("p", "global")),
    ],
)
def test_project_and_region_are_the_registrys(registry: str, place: Place) -> None:
    assert is_googles(registry)
    assert place_of(registry) == place


@pytest.mark.parametrize("registry", ["localhost", "ghcr.io/me/burst", "europe-docker.pkg.dev/p"])
def test_another_registry_is_refused(registry: str) -> None:
    assert not is_googles(registry)
    with pytest.raises(UsageError, match="is none"):
        place_of(registry)


def test_an_image_is_built_from_its_context_and_pushed(
    google: CloudBuildServer, context: Path
) -> None:
    heard: list[str] = []
    builder(google).build(RECIPE, context, heard.append)
    (build,) = google.builds
    assert build["path"] == "/v1/projects/my-project/locations/europe-west1/builds"
    assert build["images"] == [RECIPE.reference]
    (step,) = build["steps"]
    assert step["args"][:5] == ["build", "--file", RECIPE.containerfile, "--tag", RECIPE.reference]
    assert step["args"][5:] == ["--build-arg", "BASE=x", "--label", "label=y", "."]
    assert "images/file" in google.contexts[0]
    # What a bucket's owner makes of it later is not built.
    assert build["source"]["storageSource"]["generation"] == GENERATION
    assert heard[1:] == ["Step 1/2 : FROM x", "Step 2/2 : RUN y"]


def test_its_bucket_is_made_once_and_left_as_it_was(
    google: CloudBuildServer, context: Path
) -> None:
    for _ in range(2):
        builder(google).build(RECIPE, context, lambda _: None)
    assert list(google.buckets) == ["my-project_cloudbuild"]
    assert google.buckets["my-project_cloudbuild"]["location"] == "europe-west1"
    assert [name for name in google.objects if name.endswith(".tgz")] == []


def test_what_google_does_not_know_is_refused_with_its_words(
    google: CloudBuildServer, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burst.cloud.cloud_build._MACHINE", "E2_HIGHCPU_9")
    with pytest.raises(ToolError, match=r"refuses \(400\): Invalid value at 'build\.options"):
        builder(google).build(RECIPE, context, lambda _: None)
    assert [name for name in google.objects if name.endswith(".tgz")] == []


def test_a_build_that_fails_says_why(google: CloudBuildServer, context: Path) -> None:
    google.outcome = {"status": "FAILURE"}
    google.log = [b"Step 1\n", b"E: no such package\n"]
    with pytest.raises(BuildFailed, match="no such package") as raised:
        builder(google).build(RECIPE, context, lambda _: None)
    assert raised.value.hint == "its log: https://console/b1"
    assert [name for name in google.objects if name.endswith(".tgz")] == []


def test_answers_that_are_lost_meanwhile_end_no_build(
    google: CloudBuildServer, context: Path
) -> None:
    google.lost = 3
    heard: list[str] = []
    builder(google).build(RECIPE, context, heard.append)
    assert heard[1:] == ["Step 1/2 : FROM x", "Step 2/2 : RUN y"]
    google.lost = 100
    with pytest.raises(ToolError, match="503"):
        builder(google).build(RECIPE, context, lambda _: None)


def test_interrupted_it_cancels_what_would_be_paid_for(
    google: CloudBuildServer, context: Path
) -> None:
    def ctrl_c(_: float) -> None:
        raise KeyboardInterrupt

    tool = builder(google)
    tool._pause = ctrl_c
    with pytest.raises(KeyboardInterrupt):
        tool.build(RECIPE, context, lambda _: None)
    assert google.canceled == ["b1"]
    assert [name for name in google.objects if name.endswith(".tgz")] == []


def test_a_refusal_names_the_role_that_is_missing(google: CloudBuildServer, context: Path) -> None:
    google.denied = True
    with pytest.raises(ToolError, match=r"refuses \(403\).*builds\.create") as raised:
        builder(google).build(RECIPE, context, lambda _: None)
    assert "roles/cloudbuild.builds.editor in my-project" in (raised.value.hint or "")


def test_a_service_that_is_away_is_named(context: Path) -> None:
    with running_cloud_build() as google:
        tool = builder(google)
    with pytest.raises(ToolError, match=r"127\.0\.0\.1:\d+ does not answer"):
        tool.build(RECIPE, context, lambda _: None)
