"""A docker, podman or buildah that builds nothing: it keeps names, labels and what it was told.

`make_image_tools` puts one under each name into a folder for PATH. Their state is a JSON file
beside them: ``images`` (name → labels), ``registry`` (names that were pushed), ``calls``, and
``fails`` (first argument → what it complains of). That they speak as the real ones do is shown by
the tests that run a real buildah.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

STATE = "state.json"


def make_image_tools(folder: Path, *names: str) -> Path:
    """Make the programs, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {__file__} {folder} {name} "$@"\n')
        program.chmod(0o755)
    write_state(folder, {"images": {}, "registry": [], "calls": [], "fails": {}})
    return folder


def read_state(folder: Path) -> dict[str, Any]:
    """Return what the programs have been told, and hold."""
    state: dict[str, Any] = json.loads((folder / STATE).read_text("utf-8"))
    return state


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace it."""
    (folder / STATE).write_text(json.dumps(state), "utf-8")


class _Tool:
    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.state = read_state(folder)

    def run(self, arguments: list[str]) -> int:
        self.state["calls"].append([self.name, *arguments])
        write_state(self.folder, self.state)
        if complaint := self.state["fails"].get(arguments[0]):
            print(complaint, file=sys.stderr)
            return 1
        status: int = getattr(self, f"_{arguments[0]}")(arguments[1:])
        write_state(self.folder, self.state)
        return status

    def _version(self, _: list[str]) -> int:
        print("24.0")
        return 0

    def _build(self, arguments: list[str]) -> int:
        options: dict[str, list[str]] = {}
        inherited = self.state.setdefault("inherited", {})
        for key, value in itertools.pairwise(arguments):
            if key == "--build-arg" and "=" not in value:
                inherited[value] = os.environ[value]
            options.setdefault(key, []).append(value)
        context = Path(arguments[-1])
        files = sorted(str(path.relative_to(context)) for path in context.rglob("*"))
        labels = dict(label.split("=", 1) for label in options.get("--label", []))
        print(f"STEP 1: {options['--file'][0]}")
        self.state["images"][options["--tag"][0]] = labels
        self.state["context"] = files
        return 0

    def _push(self, arguments: list[str]) -> int:
        self.state["registry"].append(arguments[-1])
        return 0

    def _image(self, arguments: list[str]) -> int:
        reference = arguments[-1]
        labels = self.state["images"].get(reference)
        if labels is None:
            print(f"Error: No such image: {reference}", file=sys.stderr)
            return 1
        print(json.dumps([{"Id": "sha256:0123", "Size": 300, "Config": {"Labels": labels}}]))
        return 0

    def _inspect(self, arguments: list[str]) -> int:
        reference = arguments[-1]
        labels = self.state["images"].get(reference)
        if labels is None:
            print(f'error locating image "{reference}": image not known', file=sys.stderr)
            return 1
        print(json.dumps({"FromImageID": "0123", "OCIv1": {"config": {"Labels": labels}}}))
        return 0

    def _images(self, _: list[str]) -> int:
        print(json.dumps([{"id": "0123", "size": "300 B"}]))
        return 0

    def _manifest(self, arguments: list[str]) -> int:
        lists = self.state.setdefault("lists", [])
        if arguments[0] == "create":
            lists.append(arguments[-1])
            return 0
        if arguments[0] == "rm":
            lists.remove(arguments[-1])
            return 0
        if arguments[0] == "add":
            assert arguments[-2] in lists
        if arguments[-1].removeprefix("docker://") in self.state["registry"]:
            print("{}")
            return 0
        print("reading manifest: manifest unknown", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(_Tool(Path(sys.argv[1]), sys.argv[2]).run(sys.argv[3:]))
