"""Compiles what a cluster is made of, once for each version of it.

Everything is in one Go module (scripts/kubernetes/go.mod), whose versions are those of the release
of Kubernetes, so that all programs share what is compiled. `lock` writes that file anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from testcluster.daemons import PAUSE_IMAGE, PROBE_IMAGE
from testcluster.errors import ClusterError
from testcluster.places import ROOT, SOURCES, alone, programs

MODULE = "burst.test/kubernetes"
KUBERNETES = "k8s.io/kubernetes"
VERSIONS = {
    KUBERNETES: "v1.37.1",
    "github.com/coredns/coredns": "v1.15.0",
    "helm.sh/helm/v3": "v3.22.0",
    "sigs.k8s.io/kwok": "v0.8.0",
}
HELM, KWOK = "helm.sh/helm/v3/cmd/helm", "sigs.k8s.io/kwok/cmd/kwok"
OWN = ("./programs", "./names", "./node", "./buckets", "./probe")
NAMES = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl",
    "kubelet",
)  # fmt: skip
"""What the program ``programs`` is called, and then is."""

GO_FLAGS = "-buildvcs=false -trimpath -gcflags=all=-dwarf=false"
"""Nobody looks for errors in these programs with a debugger: that saves a fifth of Go's cache."""
BUILD_SECONDS = 3600.0
"""For which one build waits for another."""
RECIPE = 1
"""Raised when `_build` makes something else of the same sources, versions and flags."""

KWOK_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
"""What kwok's nodes and pods do. Without one of these files: by it, pods of Jobs end at once."""
LEFT_OUT = "pod-complete.yaml"


def build() -> Path:
    """Return the folder with all programs, made if it is not there: that takes minutes."""
    folder = programs() / f"kubernetes-{_stamp()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(programs() / "kubernetes.lock", BUILD_SECONDS):
        if not folder.exists():
            _build(folder)
    return folder


def _stamp() -> str:
    """Return what changes whenever the programs do, and not with what is only read or tested."""
    made_of = (RECIPE, GO_FLAGS, _link_flags(), OWN, HELM, KWOK, NAMES, KWOK_STAGES, LEFT_OUT)
    seen = hashlib.sha256(repr((made_of, PAUSE_IMAGE, PROBE_IMAGE)).encode())
    for file in sorted(SOURCES.rglob("*")):
        is_tested = file.name.endswith("_test.go")
        if file.suffix in (".go", ".mod", ".sum", ".yaml") and not is_tested:
            seen.update(f"{file.relative_to(SOURCES)}\0".encode() + file.read_bytes())
    return seen.hexdigest()[:12]


def _build(folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    begun = time.monotonic()
    _say("Compiling Kubernetes for tests (once, about ten minutes on four cores) …")
    _go("build", f"-ldflags={_link_flags()}", "-o", f"{part}/", *OWN, HELM, KWOK)
    for name in NAMES:
        (part / name).symlink_to("programs")
    (part / "kwok.yaml").write_text(_kwok_stages())
    _write_image(part / "pause.tar", part / "node", "pause", PAUSE_IMAGE)
    _write_image(part / "probe.tar", part / "probe", "probe", PROBE_IMAGE)
    part.rename(folder)
    _say(f"… took {time.monotonic() - begun:.0f} s, lies in {folder}")


def _link_flags() -> str:
    """Return what tells the programs their versions; without, no client could read those."""
    kubernetes, helm = VERSIONS[KUBERNETES], VERSIONS["helm.sh/helm/v3"]
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    known = {f"{helm_path}.k8sVersion{part}": value
             for helm_path in ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules")
             for part, value in (("Major", major), ("Minor", minor))}  # fmt: skip
    for path in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        known |= {f"{path}.gitVersion": kubernetes, f"{path}.gitMajor": major,
                  f"{path}.gitMinor": minor, f"{path}.gitTreeState": "clean"}  # fmt: skip
    known["helm.sh/helm/v3/internal/version.version"] = helm
    return " ".join(["-s", "-w", *(f"-X={name}={value}" for name, value in known.items())])


def _kwok_stages() -> str:
    module = _go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
    stages = Path(module) / "kustomize" / "stage"
    files = [file for kind in KWOK_STAGES for file in sorted((stages / kind).glob("*-*.yaml"))]
    files = [file for file in files if file.name != LEFT_OUT]
    return "\n---\n".join(file.read_text() for file in [*files, SOURCES / "kwok-exit.yaml"])


def _write_image(archive: Path, program: Path, name: str, image: str) -> None:
    """Write an image of one program, as `docker save` would."""
    layer = _tar({name: program.read_bytes()}, mode=0o755)
    config = {
        "architecture": _go("env", "GOARCH"), "os": "linux", "config": {"Entrypoint": [f"/{name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }  # fmt: skip
    listed = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    archive.write_bytes(_tar({
        "layer.tar": layer,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(listed).encode(),
    }))  # fmt: skip


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def lock() -> None:
    """Write go.mod and go.sum anew from `VERSIONS`.

    Kubernetes' own go.mod names the versions that were released together; the parts that lie in
    Kubernetes' own tree are published under versions of their own, v0 in place of v1.
    """
    release = VERSIONS[KUBERNETES]
    told = json.loads(_go("mod", "download", "-json", f"{KUBERNETES}@{release}"))
    shutil.copyfile(told["GoMod"], SOURCES / "go.mod")
    (SOURCES / "go.sum").unlink(missing_ok=True)
    edits = [f"-module={MODULE}", f"-require={KUBERNETES}@{release}"]
    for replaced in json.loads(_go("mod", "edit", "-json"))["Replace"] or ():
        path = replaced["Old"]["Path"]
        if replaced["New"]["Path"].startswith("./staging/"):
            edits.append(f"-replace={path}={path}@v0.{release.removeprefix('v1.')}")
    edits += [f"-require={path}@{version}" for path, version in VERSIONS.items()]
    _go("mod", "edit", *edits)
    # Not `mod tidy`, which would also want what the tests of all these modules import.
    _go("list", "-mod=mod", "-deps", *OWN, HELM, KWOK)


def _go(*arguments: str) -> str:
    """Run Go in the module, and return what it prints; what it says on the way goes to stderr."""
    environment = {
        **os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": GO_FLAGS,
    }  # fmt: skip
    try:
        done = subprocess.run(
            [_find_go(), *arguments], cwd=SOURCES, env=environment, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"go {arguments[0]} failed") from error
    return done.stdout.strip()


def _find_go() -> str:
    command = [str(ROOT / "scripts" / "go-tool"), "go"]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
