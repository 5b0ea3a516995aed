"""Working copies: made of what can't be written, kept as the source is, and never cleared."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.cloud.terraform_copies import copy_roots, root_folder
from burst.errors import StateError


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_tf", ".tf").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "installed"
    write(
        folder, farm__main_tf="one", modules__network__main_tf="two",
        modules__network__README_md="", modules__network__tests__plan_tf="",
        modules__network__examples__main_tf="",
    )  # fmt: skip
    return folder


def test_a_copy_has_what_terraform_reads_and_can_be_written(source: Path, tmp_path: Path) -> None:
    for path in source.rglob("*.tf"):
        path.chmod(0o444)
    place = tmp_path / "place"
    copy_roots(source, place)
    assert names(place) == {"terraform/farm/main.tf", "terraform/modules/network/main.tf"}
    assert all(path.stat().st_mode & 0o200 for path in place.rglob("*.tf"))
    assert root_folder(place, "farm") == place / "terraform" / "farm"


def test_a_new_burst_changes_what_differs_and_leaves_what_terraform_keeps(
    source: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    write(source, farm__old_tf="gone soon")
    copy_roots(source, place)
    farm = root_folder(place, "farm")
    kept = {".terraform/providers.tf", "errored.tfstate", "burst.auto.tfvars.json", ".burst/plan"}
    for name in kept:
        (farm / name).parent.mkdir(exist_ok=True)
        (farm / name).write_text("kept", "utf-8")
    untouched = farm.parent / "modules" / "network" / "main.tf"
    before = untouched.stat()
    (source / "farm" / "old.tf").unlink()
    write(source, farm__main_tf="changed", farm__new_tf="new")
    copy_roots(source, place)
    assert names(farm) == {"main.tf", "new.tf", *kept}
    assert (farm / "main.tf").read_text("utf-8") == "changed"
    assert untouched.stat() == before


def test_a_folder_that_cant_be_written_is_an_error(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file", "utf-8")
    with pytest.raises(StateError, match="can't make a working copy"):
        copy_roots(source, place)
