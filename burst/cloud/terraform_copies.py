"""Working copies of the roots: an installed burst can't be written, and each farm needs its own.

A copy has the whole of ``terraform/``, as roots name their modules by relative paths. What
Terraform and burst keep in it stays: providers, a state that could not be written, notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from burst.errors import StateError

_KINDS = frozenset({".tf", ".json", ".tftpl", ".yaml"})
"""What a configuration is made of."""
_NOT_RUN = frozenset({"tests", "examples"})


def root_folder(place: Path, root: str) -> Path:
    """Return the folder of a root's working copy below the farm's own."""
    return place / "terraform" / root


def copy_roots(source: Path, place: Path) -> None:
    """Make the working copy as ``source`` is, and touch no more of it than differs.

    Raises:
        StateError: it can't be read or written.
    """
    copy = place / "terraform"
    try:
        # A plan holds what the cloud keeps to the project, such as addresses.
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = {path.relative_to(source): path for path in _files(source)}
        for name, path in wanted.items():
            _copy(path, copy / name)
        for path in list(_files(copy)):
            # Terraform would read it as well.
            if path.suffix == ".tf" and path.relative_to(copy) not in wanted:
                path.unlink()
    except OSError as error:
        raise StateError(
            f"can't make a working copy in {copy}: {error.strerror} ({error.filename})",
            hint="name another folder with BURST_STATE_DIR, or free some space",
        ) from error


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.startswith(".") or path.name in _NOT_RUN or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.suffix in _KINDS:
            yield path


def _copy(source: Path, target: Path) -> None:
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not copied with its rights: those of an installed file don't let anybody write.
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_bytes(content)
    temporary.replace(target)
