"""Images by docker, podman and buildah: what they are told, and what their complaints become.

The programs are stand-ins. Left out: that real ones build (tests/integration/test_images.py).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from burst.cloud.bundled import bundled
from burst.cloud.images import TOOLS, find_tool
from burst.config.images import ImageSettings
from burst.errors import (
    BuildFailed,
    ImageMissing,
    RegistryDenied,
    ToolError,
    ToolMissing,
    UsageError,
)
from burst.operations.images import (
    CONTENT_LABEL,
    PARTS,
    build_images,
    ensure_images,
    image_names,
    image_states,
    push_images,
)
from tests.fakes.image_tool import make_image_tools, read_state, write_state

LOCAL = ImageSettings(image_blender="debian")
REMOTE = ImageSettings(registry="registry.example/farm", image_blender="5.0.1")


ROOT = Path(__file__).resolve().parents[3]


def silent(_: str) -> None:
    pass


@pytest.fixture(autouse=True)
def _small_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source tree with all that belongs to images, and a burst of one module."""
    tree = tmp_path / "tree"
    (tree / "burst" / "__pycache__").mkdir(parents=True)
    for name in ("pyproject.toml", "requirements.lock", "images", "scripts"):
        (tree / name).symlink_to(ROOT / name)
    for name in ("__init__.py", "__pycache__/__init__.cpython-311.pyc"):
        (tree / "burst" / name).write_text("")
    monkeypatch.setattr("burst.cloud.bundled._PACKAGE", tree / "burst")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All three programs, and none of this machine's."""
    folder = make_image_tools(tmp_path / "tools", *TOOLS)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def forget(tools: Path, *names: str) -> None:
    for name in names:
        (tools / name).unlink()


def only_these(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what the machine has itself."""
    (tools / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tools))


def fails(tools: Path, call: str, complaint: str) -> None:
    state = read_state(tools)
    state["fails"][call] = complaint
    write_state(tools, state)


@pytest.mark.parametrize("name", TOOLS)
def test_each_program_builds_finds_and_pushes(tools: Path, name: str) -> None:
    settings = REMOTE.model_copy(update={"image_tool": name})
    names = image_names(settings)
    assert build_images(settings, ("manager", "worker"), silent) == [names.manager, names.worker]
    assert push_images(settings, ("manager", "worker"), silent) == [names.manager, names.worker]
    states = image_states(settings)
    assert [(state.is_current, state.published) for state in states] == [(True, True)] * 2
    assert [state.here.size_bytes for state in states if state.here] == [300, 300]
    assert {call[0] for call in read_state(tools)["calls"]} == {name}
    assert read_state(tools).get("lists", []) == [], "what was made to ask is left behind"


def test_names_carry_version_and_blender() -> None:
    from burst import __version__

    names = image_names(REMOTE)
    assert names.manager == f"registry.example/farm/burst-manager:{__version__}"
    assert names.worker == f"registry.example/farm/burst-worker:{__version__}-5.0.1"


@pytest.mark.parametrize(
    ("blender", "argument"),
    [("4.5.14", "BLENDER=4.5.14"), ("bpy5.0.1", "BPY=5.0.1"), ("debian", "BLENDER=debian")],
)
def test_the_blender_is_a_build_argument(tools: Path, blender: str, argument: str) -> None:
    build_images(ImageSettings(image_blender=blender), ("worker",), silent)
    (build,) = [call for call in read_state(tools)["calls"] if call[1] == "build"]
    assert argument in build
    assert f"localhost/burst-worker:0.1.0-{blender}" in build


@pytest.mark.parametrize("blender", ["latest", "4.5", "../x", ""])
def test_a_blender_that_is_none_is_refused(blender: str) -> None:
    with pytest.raises(ValueError, match="image_blender"):
        ImageSettings(image_blender=blender)


def test_a_context_has_what_is_built_from_and_nothing_else(tools: Path) -> None:
    build_images(LOCAL, ("manager",), silent)
    files = set(read_state(tools)["context"])
    assert {"images/manager/Containerfile", "requirements.lock", "burst/__init__.py"} <= files
    assert not [name for name in files if "__pycache__" in name or name.startswith((".", "tests"))]
    assert "scripts" not in files
    build_images(LOCAL, ("worker",), silent)
    assert {"scripts/fetch-blender", "images/worker/blender/SHA256SUMS"} <= set(
        read_state(tools)["context"]
    )


def test_every_file_that_a_containerfile_copies_is_in_its_context(tools: Path) -> None:
    for part in ("manager", "worker"):
        build_images(LOCAL, (part,), silent)
        files = read_state(tools)["context"]
        lines = bundled(f"images/{part}/Containerfile").read_text("utf-8").splitlines()
        copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
        for name in (name for names in copied for name in names if "--from" not in names[0]):
            assert [file for file in files if Path(file).match(name)], name


@pytest.mark.parametrize(
    ("name", "parts"),
    [("PIP_INDEX_URL", ["manager", "worker"]), ("BLENDER_MIRROR", ["worker"])],
)
def test_a_mirror_is_passed_on_and_changes_nothing(
    tools: Path, monkeypatch: pytest.MonkeyPatch, name: str, parts: list[str]
) -> None:
    build_images(LOCAL, PARTS, silent, os.environ)
    state = read_state(tools)
    plain, state["calls"] = state["images"], []
    write_state(tools, state)
    address = "http://me:s3cret@mirror.example/x"
    monkeypatch.setenv(name, address)
    build_images(LOCAL, PARTS, silent, os.environ)
    state = read_state(tools)
    told = [call for call in state["calls"] if name in call]
    files = [next(word for word in call if word.endswith("Containerfile")) for call in told]
    assert [file.split("/")[-2] for file in files] == parts
    assert state["images"] == plain
    assert state["inherited"] == {name: address}
    assert not [word for call in state["calls"] for word in call if "s3cret" in word]


def test_an_image_of_something_else_is_out_of_date(tools: Path) -> None:
    build_images(LOCAL, ("manager", "worker"), silent)
    other_base = LOCAL.model_copy(update={"image_base": "debian:13"})
    assert [state.is_current for state in image_states(LOCAL)] == [True, True]
    assert [state.is_current for state in image_states(other_base)] == [False, False]
    state = read_state(tools)
    state["images"][image_names(LOCAL).worker][CONTENT_LABEL] = "of yesterday"
    write_state(tools, state)
    assert [state.is_current for state in image_states(LOCAL)] == [True, False]


def test_a_changed_burst_makes_images_out_of_date(tools: Path, tmp_path: Path) -> None:
    build_images(LOCAL, ("manager", "worker"), silent)
    (tmp_path / "tree" / "burst" / "__init__.py").write_text("changed = True\n")
    assert [state.is_current for state in image_states(LOCAL)] == [False, False]


def test_only_what_is_lacking_is_built_and_pushed(tools: Path) -> None:
    names = ensure_images(REMOTE, silent)
    state = read_state(tools)
    assert state["registry"] == [names.manager, names.worker]
    state["registry"].remove(names.worker)
    state["calls"] = []
    write_state(tools, state)
    ensure_images(REMOTE, silent)
    assert [call[1] for call in read_state(tools)["calls"] if call[1] in ("build", "push")] == [
        "build",
        "push",
    ]
    assert names.worker in read_state(tools)["registry"]


def test_without_a_registry_they_are_built_here_once(tools: Path) -> None:
    ensure_images(LOCAL, silent)
    ensure_images(LOCAL, silent)
    calls = [call[1] for call in read_state(tools)["calls"]]
    assert calls.count("build") == 2
    assert "push" not in calls
    assert "manifest" not in calls


def test_to_push_takes_a_registry_and_an_image(tools: Path) -> None:
    with pytest.raises(UsageError, match="no registry"):
        push_images(LOCAL, ("manager",), silent)
    with pytest.raises(ImageMissing, match=r"burst-manager.* was not built yet"):
        push_images(REMOTE, ("manager",), silent)


@pytest.mark.parametrize(
    ("complaint", "error", "hint"),
    [
        ("denied: requested access to the resource is denied", RegistryDenied, "docker login"),
        ("unauthorized: authentication required", RegistryDenied, "docker login registry.example"),
        ("name unknown: The repository does not exist", ImageMissing, "build --push"),
        ("dial tcp: lookup registry.example: no such host", ToolError, "registry's name"),
        ('failed: getting credentials - err: exec: "docker-credential-gcloud": executable file not '
         "found in $PATH", RegistryDenied, "docker login"),
        ("blob sha256:9c404d5a401f403e: connection reset by peer", ToolError, None),
        ("something else", ToolError, None),
    ],
)  # fmt: skip
def test_a_refused_push_says_why_and_what_to_type(
    tools: Path, complaint: str, error: type[ToolError], hint: str | None
) -> None:
    build_images(REMOTE, ("manager",), silent)
    fails(tools, "push", complaint)
    with pytest.raises(error) as raised:
        push_images(REMOTE, ("manager",), silent)
    assert type(raised.value) is error
    assert complaint in raised.value.message
    assert (hint or "") in (raised.value.hint or "")


def test_a_registry_of_googles_is_logged_in_to_by_its_token(tools: Path) -> None:
    settings = ImageSettings(registry="europe-west1-docker.pkg.dev/p/burst", image_tool="podman")
    fails(tools, "manifest", "denied: Permission denied")
    with pytest.raises(RegistryDenied) as raised:
        image_states(settings)
    assert raised.value.hint is not None
    assert "print-access-token | podman login -u oauth2accesstoken" in raised.value.hint


def test_a_build_that_fails_tells_its_error_and_passes_its_lines_on(tools: Path) -> None:
    fails(tools, "build", "STEP 2: RUN x\nError: exit status 7\n")
    heard: list[str] = []
    with pytest.raises(BuildFailed, match="exit status 7"):
        build_images(LOCAL, ("manager",), heard.append)
    assert heard == ["STEP 2: RUN x", "Error: exit status 7"]


def test_a_disk_that_is_full_while_building_is_told_so(tools: Path) -> None:
    fails(tools, "build", "Error: committing: write /var/lib/x: no space left on device\n")
    with pytest.raises(BuildFailed, match="no space left on device") as raised:
        build_images(LOCAL.model_copy(update={"image_tool": "podman"}), ("manager",), silent)
    assert raised.value.hint == "free some space; old images: podman image prune"


def test_the_first_program_that_works_is_taken(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_these(tools, monkeypatch)
    assert find_tool(None).name == "docker"
    fails(tools, "version", "Cannot connect to the Docker daemon")
    assert find_tool(None).name == "podman"
    with pytest.raises(ToolMissing, match="its service does not answer"):
        find_tool("docker")
    forget(tools, "podman")
    assert find_tool(None).name == "buildah"
    forget(tools, "buildah")
    with pytest.raises(ToolMissing, match="neither docker nor podman nor buildah"):
        find_tool(None)
    with pytest.raises(ToolMissing, match="no podman"):
        find_tool("podman")


def test_a_registry_of_this_machine_needs_no_tls(tools: Path) -> None:
    settings = ImageSettings(registry="localhost:5000/burst", image_tool="buildah")
    build_images(settings, ("manager",), silent)
    push_images(settings, ("manager",), silent)
    assert read_state(tools)["calls"][-1][:3] == ["buildah", "push", "--tls-verify=false"]


def test_what_did_not_come_along_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="images/none did not come"):
        bundled("images/none")
    monkeypatch.setattr("burst.cloud.bundled._PACKAGE", tmp_path / "site-packages" / "burst")
    with pytest.raises(ToolMissing, match=r"images/none did not come.*share/burst"):
        bundled("images/none")
