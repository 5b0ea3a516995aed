"""Has Terraform and checkov look at modules and roots, and says what they don't like.

    check.py TERRAFORM PYTHON

Run by ``scripts/terraform-check``, which names a terraform and a Python that has checkov. Works on
a copy, so that nothing is left in the tree. A finding of checkov is passed over only where a
comment ``checkov:skip=RULE: why`` stands in its block, and a comment that nothing needs any more is
an error, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fakes.terraform_provider.mirror import make_mirror  # noqa: E402

SOURCE = ROOT / "terraform"
PATIENCE = 900
"""Seconds for one program; only one that hangs uses them up."""

_SKIP = re.compile(r"^\s*# checkov:skip=(?P<rule>\w+): (?P<why>\S.*)$", re.MULTILINE)
_BLOCK = re.compile(r'^(?:resource|data) "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_NO_WAY_OUT = {
    "CHECKPOINT_DISABLE": "1",
    # A real provider looks for addresses of Google's when it starts.
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "NO_PROXY": "127.0.0.1,localhost",
    "TF_IN_AUTOMATION": "1",
}


class Finding(NamedTuple):
    """A rule of checkov, and the block that it is about."""

    rule: str
    file: str
    block: str


class Check(NamedTuple):
    """What came of a module or a root."""

    passed: int
    """Runs of its tests."""
    wrong: list[str]


def main(terraform: str, python: str) -> int:
    """Print what is wrong; return how the program ends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = folder / "terraform"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        environ = {**os.environ, **_NO_WAY_OUT, "TF_CLI_CONFIG_FILE": str(make_mirror(folder))}
        with ThreadPoolExecutor(min(3, os.cpu_count() or 1)) as pool:
            policies = pool.submit(_policies, python, folder / "bare")
            checks = pool.map(lambda one: _terraform(terraform, one, environ), _folders(copy))
            wrong = [*_format(terraform, copy, environ)]
            passed = 0
            for check in checks:
                wrong += check.wrong
                passed += check.passed
            explained, unexplained = policies.result()
    for one in [*wrong, *unexplained]:
        print(f"error: {one}", file=sys.stderr)
    print(f"{passed} runs of tests, {explained} findings explained, {len(unexplained)} not")
    return 1 if wrong or unexplained else 0


def _folders(copy: Path) -> list[Path]:
    """Return what is to be checked; what takes longest comes first."""
    modules = sorted((copy / "modules").iterdir(), key=lambda one: one.name != "node-pool")
    return [*modules, copy / "farm", copy / "storage"]


def _format(terraform: str, copy: Path, environ: dict[str, str]) -> Iterator[str]:
    done = _run([terraform, "fmt", "-check", "-recursive", "-no-color"], copy, environ)
    for name in done.stdout.split():
        yield f"terraform/{name} is not in Terraform's format; run terraform fmt"
    if done.returncode and not done.stdout:
        yield done.stderr


def _terraform(terraform: str, folder: Path, environ: dict[str, str]) -> Check:
    """Initialize, validate and test a module or root; stop at what fails."""
    name = folder.name
    if not list(folder.glob("tests/*.tftest.hcl")):
        return Check(0, [f"{name} has no tests"])
    for arguments in (
        ["init", "-backend=false", "-input=false"],
        ["validate"],
        ["test"],
    ):
        done = _run([terraform, *arguments, "-no-color"], folder, environ)
        if done.returncode:
            kept = [line for line in done.stdout.splitlines() if not line.endswith("... pass")]
            said = "\n".join(kept)
            failed = f"terraform {arguments[0]} in {name} failed\n{said}\n{done.stderr}"
            return Check(0, [failed])
    passed = re.search(r"(\d+) passed", done.stdout)
    return Check(int(passed[1]), []) if passed else Check(0, [f"{name} has no runs of tests"])


def _policies(python: str, bare: Path) -> tuple[int, list[str]]:
    """Ask checkov about a copy without explanations, and compare its findings with them.

    Returns: how many findings are explained, and what is wrong.
    """
    explained = set()
    for path in sorted(SOURCE.rglob("*.tf")):
        if ".terraform" in path.parts:
            continue
        text = path.read_text("utf-8")
        explained |= set(_explained(text, path.relative_to(SOURCE).as_posix()))
        target = bare / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_SKIP.sub("", text), encoding="utf-8")
    found = _found(python, bare)
    if not found:
        return 0, ["checkov looked at nothing"]
    return len(found & explained), [
        *(f"checkov: {one.rule} in {one.block}, {one.file}" for one in sorted(found - explained)),
        *(
            f"{one.file} explains {one.rule} in {one.block}, which checkov does not say"
            for one in sorted(explained - found)
        ),
    ]


def _explained(text: str, file: str) -> Iterator[Finding]:
    for block in _BLOCK.finditer(text):
        for comment in _SKIP.finditer(block[3]):
            yield Finding(comment["rule"], file, f"{block[1]}.{block[2]}")


def _found(python: str, bare: Path) -> set[Finding]:
    done = _run(
        [
            *(python, "-m", "checkov.main", "--directory", str(bare)),
            *("--framework", "terraform", "--output", "json", "--quiet", "--skip-download"),
        ],
        bare,
        {**os.environ, "LOG_LEVEL": "ERROR"},
    )
    report = json.loads(done.stdout)
    if report["summary"]["parsing_errors"] or not report["summary"]["resource_count"]:
        raise SystemExit(f"error: checkov can't read terraform/\n{done.stderr}")
    return {
        Finding(one["check_id"], one["file_path"].lstrip("/"), _block(one["resource"]))
        for one in report["results"]["failed_checks"]
    }


def _block(address: str) -> str:
    """Return type and name out of the address of a resource in some module."""
    return ".".join(re.sub(r"\[[^\]]*\]", "", address).split(".")[-2:])


def _run(
    arguments: list[str], folder: Path, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
