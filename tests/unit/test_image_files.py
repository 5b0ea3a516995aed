"""What the files under images/ say, as far as that shows without building: the parts left out.

Left out here: building and running (tests/kubernetes/test_images.py).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"
MODULES = {
    "imageio-ffmpeg": "imageio_ffmpeg",
    "openexr": "OpenEXR",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
}
"""Where a module is not called as its package."""

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1].split():
    sys.modules[name] = None
for name in sys.argv[2].split():
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        if not found.name.startswith(tuple(sys.argv[3].split())):
            importlib.import_module(found.name)
"""


def left_out(part: str) -> list[str]:
    text = (IMAGES / part / "Containerfile").read_text("utf-8").replace("\\\n", "")
    found = re.search(r'without="([^"]*)"', text)
    assert found
    return [MODULES.get(name, name) for name in found[1].split()]


def imports(without: list[str], packages: str, except_for: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, " ".join(without), packages, except_for],
        capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
    )  # fmt: skip


INSIDE = "burst.worker.inside.probe burst.worker.driver "
"""Programs: to import them is to run them."""


@pytest.mark.parametrize(
    ("part", "packages", "except_for"),
    [
        (
            "manager",
            "burst.cli.roles burst.manager burst.operations burst.scene burst.storage",
            "burst.manager.database.migrations burst.operations.deploy burst.operations.images",
        ),
        ("worker", "burst.cli.roles burst.worker burst.scene burst.storage burst.protocol", INSIDE),
    ],
)
def test_nothing_in_an_image_needs_what_it_lacks(part: str, packages: str, except_for: str) -> None:
    done = imports(left_out(part), packages, except_for)
    assert done.returncode == 0, done.stderr


def test_the_parts_left_out_are_named_as_the_lock_names_them() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    named = set(re.findall(r"(?m)^([a-z0-9-]+)==", lock))
    back = {module: package for package, module in MODULES.items()}
    for part in ("manager", "worker"):
        assert {back.get(name, name) for name in left_out(part)} <= named


@pytest.mark.parametrize("part", ["manager", "worker"])
def test_images_run_as_nobody_under_an_init(part: str) -> None:
    lines = (IMAGES / part / "Containerfile").read_text("utf-8").splitlines()
    assert "USER 10001:10001" in lines
    assert 'ENTRYPOINT ["/usr/bin/tini", "--"]' in lines
    assert f'CMD ["burst", "{part}"]' in lines


@pytest.mark.parametrize("part", ["manager", "worker"])
def test_what_changes_often_comes_after_what_seldom_does(part: str) -> None:
    text = (IMAGES / part / "Containerfile").read_text("utf-8")
    last = text.rpartition("\nFROM ")[2]
    steps = ("apt-get", "CMD ", "--from=blender", "--from=parts", "--from=code")
    places = [last.find(step) for step in steps if step in last]
    assert len(places) >= 4
    assert places == sorted(places)
    assert last.rstrip().splitlines()[-1] == "COPY --from=code /code /"
    # A line of the lock that changed must not fetch a Blender anew.
    stages = dict(re.findall(r"(?m)^FROM (\S+) AS (\S+)$", text))
    assert stages.keys() <= {"${BASE}", "tools"}
    assert "requirements.lock" not in text[: text.index(" AS parts")]


@pytest.mark.parametrize("part", ["manager", "worker"])
def test_code_is_for_everybody_to_read_and_of_one_date(part: str) -> None:
    text = (IMAGES / part / "Containerfile").read_text("utf-8")
    code = text[text.index(" AS code") :].partition("\nFROM ")[0]
    assert "chmod -R u=rwX,go=rX /code" in code
    assert "--invalidation-mode unchecked-hash" in code, "a date of its own would undo compiling"
    assert code.rstrip().endswith("touch --no-dereference --date 2000-01-01T00:00:00Z {} +")


def test_both_images_begin_with_the_same_lines() -> None:
    manager, worker = (
        (IMAGES / part / "Containerfile").read_text("utf-8").partition("FROM ")[2]
        for part in ("manager", "worker")
    )
    mark = "COPY requirements.lock"
    assert manager.partition(mark)[0] == worker.partition(mark)[0], "they are built twice"


@pytest.mark.parametrize("part", ["manager", "worker"])
def test_images_say_what_they_are(part: str) -> None:
    text = (IMAGES / part / "Containerfile").read_text("utf-8")
    for label in ("title", "description", "licenses", "base.name"):
        assert f"org.opencontainers.image.{label}=" in text
    assert "-perm /6000 -exec chmod a-s {} +" in text.rpartition("\nFROM ")[2]


def test_compose_publishes_the_console_on_the_loopback_and_asks_for_tokens() -> None:
    text = (IMAGES / "compose.yaml").read_text("utf-8")
    services = yaml.safe_load(text)["services"]
    port = "${BURST_CONSOLE_PORT:-8080}"
    assert services["manager"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert "ports" not in services["worker"]
    for name in ("BURST_CONSOLE_TOKEN", "BURST_WORKER_TOKEN"):
        assert services["manager"]["environment"][name].startswith(f"${{{name}:?")
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"].startswith("${BURST_USER:?")


def test_compose_sets_only_what_burst_knows() -> None:
    from burst.config.load import variable
    from burst.manager.settings import ManagerSettings
    from burst.worker.settings import WorkerSettings

    services = yaml.safe_load((IMAGES / "compose.yaml").read_text("utf-8"))["services"]
    for name, model in (("manager", ManagerSettings), ("worker", WorkerSettings)):
        known = {variable(field) for field in model.model_fields}
        assert set(services[name]["environment"]) <= known
