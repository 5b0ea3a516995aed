"""Stand-ins for ``kubectl`` and ``helm``: programs on PATH with a small cluster of their own.

The cluster is a JSON file: objects by kind and name, releases, and what goes wrong on purpose.
What the real ones do is tested on a real cluster, in ``tests/kubernetes``.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import stat
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """#!{python} -IS
import sys
sys.path.insert(0, {root!r})
from tests.fakes.cluster_tools import {main}
sys.exit({main}({folder!r}, sys.argv[1:]))
"""


class FakeTools:
    """Both programs in a folder, and the cluster that they see."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text("{}", encoding="utf-8")
        self.write(
            {
                "objects": {"csidriver/gcsfuse.csi.storage.gke.io": {}},
                "releases": {},
                "refusals": [],
                "versions": {"kubectl": "v1.33.1", "server": "v1.33.1", "helm": "v3.19.0"},
                "user": {},
                "manager_pod": {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
                "events": "",
                "log": "",
            }
        )
        for main in ("kubectl", "helm"):
            text = _PROGRAM.format(
                python=sys.executable, root=str(ROOT), main=main, folder=str(folder)
            )
            program = self.bin / main
            program.write_text(text, encoding="utf-8")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def read(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "cluster.json").read_text("utf-8")))

    def write(self, cluster: dict[str, Any]) -> None:
        temporary = self.folder / "cluster.json.new"
        temporary.write_text(json.dumps(cluster), encoding="utf-8")
        temporary.replace(self.folder / "cluster.json")

    def set(self, **changes: Any) -> None:
        self.write({**self.read(), **changes})

    def refuse(self, pattern: str, words: str) -> None:
        """Have calls whose arguments match end with an error."""
        self.set(refusals=[*self.read()["refusals"], [pattern, words]])

    def put(self, kind: str, name: str, **content: Any) -> None:
        """Have an object on the cluster."""
        metadata = {"name": name, **content.pop("metadata", {})}
        made = {"kind": kind.capitalize(), "metadata": metadata, **content}
        self.set(objects={**self.read()["objects"], f"{kind}/{name}": made})

    @property
    def calls(self) -> list[str]:
        """Every command line, such as ``kubectl get pods``."""
        path = self.folder / "calls"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def release(self, name: str) -> list[dict[str, Any]]:
        """All revisions of a release, oldest first."""
        return list(self.read()["releases"].get(name, []))


class Refused(Exception):
    """The program ends with these words on stderr."""


def kubectl(folder: str, arguments: list[str]) -> int:
    return _run(folder, "kubectl", arguments, _kubectl)


def helm(folder: str, arguments: list[str]) -> int:
    return _run(folder, "helm", arguments, _helm)


def _run(folder: str, program: str, arguments: list[str], main: Any) -> int:
    tools = FakeTools.__new__(FakeTools)
    tools.folder = Path(folder)
    bare = _without(arguments, ("--kubeconfig", "--context", "--namespace", "--kube-context"))
    bare = [one for one in bare if not one.startswith("--request-timeout")]
    with (tools.folder / "calls").open("a", encoding="utf-8") as file:
        file.write(f"{program} {' '.join(bare)}\n")
    cluster = tools.read()
    try:
        _check_refused(cluster, f"{program} {' '.join(bare)}")
        said = main(cluster, bare, tools)
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    tools.write(cluster)
    sys.stdout.write(said)
    return 0


def _check_refused(cluster: dict[str, Any], call: str) -> None:
    for pattern, words in cluster["refusals"]:
        if re.search(pattern, call):
            raise Refused(words)


def _without(arguments: list[str], options: tuple[str, ...]) -> list[str]:
    kept: list[str] = []
    skip = False
    for one in arguments:
        if skip or one in options:
            skip = not skip
            continue
        kept.append(one)
    return kept


# ── kubectl ──────────────────────────────────────────────────────────────────────────


def _kubectl(cluster: dict[str, Any], words: list[str], tools: FakeTools) -> str:
    if words[0] == "port-forward":
        _forward(cluster, words, tools)
    steps = {
        "version": _kube_versions, "config": _kube_config, "get": _get,
        "create": _create, "delete": _delete, "logs": lambda *_: cluster["log"],
    }  # fmt: skip
    return str(steps[words[0]](cluster, words))


def _kube_versions(cluster: dict[str, Any], words: list[str]) -> str:
    versions = cluster["versions"]
    return json.dumps(
        {
            "clientVersion": {"gitVersion": versions["kubectl"]},
            "serverVersion": {"gitVersion": versions["server"]},
        }
    )


def _kube_config(cluster: dict[str, Any], words: list[str]) -> str:
    context = {"name": "here", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": cluster["user"]}]
    return json.dumps({"kind": "Config", "contexts": [context], "users": users, "clusters": []})


def _review(cluster: dict[str, Any], asked: dict[str, Any]) -> str:
    for review in asked["items"]:
        what = review["spec"]["resourceAttributes"]
        right = f"{what['verb']} {what['resource']}"
        review["status"] = {"allowed": right not in cluster.get("lacking", [])}
    return "\n".join(json.dumps(review, indent=4) for review in asked["items"])


def _get(cluster: dict[str, Any], words: list[str]) -> str:
    if words[1] == "events":
        return str(cluster["events"])
    _roll_out(cluster)
    if "--ignore-not-found" in words:
        found = cluster["objects"].get(f"{words[1]}/{words[2]}")
        return "" if found is None else json.dumps(found)
    kinds = [kind.removesuffix("s") for kind in words[1].split(",")]
    selector = words[words.index("--selector") + 1] if "--selector" in words else ""
    labels = dict(pair.split("=", 1) for pair in selector.split(",") if pair)
    items = [
        thing
        for key, thing in cluster["objects"].items()
        if key.split("/")[0] in kinds
        and labels.items() <= thing.get("metadata", {}).get("labels", {}).items()
    ]
    return json.dumps({"items": items})


def _roll_out(cluster: dict[str, Any]) -> None:
    """Have a pod for each manager's release, of the newest revision."""
    for name, revisions in cluster["releases"].items():
        if "-pool-" in name or not revisions:
            continue
        number = revisions[-1]["version"]
        labels = {"burst/farm": name, "app.kubernetes.io/part-of": "burst"}
        cluster["objects"][f"statefulset/{name}-manager"] = {
            "kind": "StatefulSet",
            "metadata": {"name": f"{name}-manager", "generation": number, "labels": labels},
            "status": {"observedGeneration": number, "updateRevision": str(number)},
        }
        if _is_broken(cluster["objects"].get(f"pod/{name}-manager-0")):
            continue
        pod = {"controller-revision-hash": str(number), **labels}
        cluster["objects"][f"pod/{name}-manager-0"] = {
            "kind": "Pod",
            "metadata": {"name": f"{name}-manager-0", "labels": pod},
            **cluster["manager_pod"],
        }


def _is_broken(pod: dict[str, Any] | None) -> bool:
    """Say whether a pod stays as it is, and keeps the next one away, until somebody deletes it."""
    if pod is None:
        return False
    return not any(one["status"] == "True" for one in pod["status"].get("conditions", []))


def _create(cluster: dict[str, Any], words: list[str]) -> str:
    made = json.load(sys.stdin)
    if made["kind"] == "List":
        return _review(cluster, made)
    cluster["objects"][f"{made['kind'].lower()}/{made['metadata']['name']}"] = made
    return "created\n"


def _delete(cluster: dict[str, Any], words: list[str]) -> str:
    kind = words[1].removesuffix("s")
    if "--selector" in words:
        labels = dict([words[words.index("--selector") + 1].split("=", 1)])
        gone = [
            key
            for key, thing in cluster["objects"].items()
            if key.startswith(f"{kind}/")
            and labels.items() <= thing["metadata"].get("labels", {}).items()
        ]
    else:
        gone = [f"{kind}/{words[2]}"]
    for key in gone:
        cluster["objects"].pop(key, None)
    return ""


def _forward(cluster: dict[str, Any], words: list[str], tools: FakeTools) -> None:
    """Forward to the port that the test set, until the test says that the pod is gone."""
    here = int(words[-1].split(":")[0] or 0)
    taken = tools.folder / "taken"
    if taken.exists() and taken.read_text("utf-8") == str(here):
        raise Refused(
            f"Unable to listen on port {here}: Listeners failed to create with the following "
            f"errors: [unable to create listener: Error listen tcp4 127.0.0.1:{here}: bind: "
            "address already in use]\n"
            f"error: unable to listen on any of the requested ports: [{{{here} 8080}}]"
        )
    listener = socket.create_server(("127.0.0.1", here))
    port = listener.getsockname()[1]
    sys.stdout.write(f"Forwarding from 127.0.0.1:{port} -> 8080\n")
    sys.stdout.flush()
    lost = tools.folder / "lost"
    while not lost.exists():
        if not select.select([listener], [], [], 0.02)[0]:
            continue
        client, _ = listener.accept()
        sys.stdout.write(f"Handling connection for {port}\n")
        sys.stdout.flush()
        there = socket.create_connection(("127.0.0.1", cluster["console_port"]))
        for pair in ((client, there), (there, client)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()
    lost.unlink()
    sys.stderr.write("error: lost connection to pod\n")
    sys.stderr.flush()
    os._exit(1)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


# ── helm ─────────────────────────────────────────────────────────────────────────────


def _helm(cluster: dict[str, Any], words: list[str], tools: FakeTools) -> str:
    releases = cluster["releases"]
    if words[0] == "version":
        return str(cluster["versions"]["helm"])
    if words[0] == "list":
        return json.dumps([{"name": name, "namespace": "burst"} for name in releases])
    if words[0] == "show":
        return 'apiVersion: v2\nname: burst\nversion: "0.1.0"\n'
    name = words[1]
    if words[0] == "upgrade":
        values = json.load(sys.stdin)
        revisions = releases.setdefault(name, [])
        revisions.append(_revision(name, len(revisions) + 1, values))
        return json.dumps(revisions[-1])
    if name not in releases:
        raise Refused("Error: release: not found")
    if words[0] == "uninstall":
        del releases[name]
        for key in (f"statefulset/{name}-manager", f"pod/{name}-manager-0"):
            cluster["objects"].pop(key, None)
        return ""
    if words[0] == "rollback":
        number = int(words[2]) if words[2].isdecimal() else len(releases[name]) - 1
        values = releases[name][number - 1]["config"]
        releases[name].append(_revision(name, len(releases[name]) + 1, values))
        return ""
    if words[0] == "status":
        return json.dumps(releases[name][-1])
    raise Refused(f"Error: unknown command {words[0]}")


def _revision(
    name: str, number: int, values: dict[str, Any], status: str = "deployed"
) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "name": name,
        "namespace": "burst",
        "version": number,
        "info": {"status": status, "last_deployed": now, "description": "done"},
        "manifest": "",
        "config": values,
    }


def left_pending(
    name: str, number: int, status: str, ago: timedelta, values: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a revision on which somebody was interrupted a while ago."""
    revision = _revision(name, number, values or {}, status)
    revision["info"]["last_deployed"] = (datetime.now(UTC) - ago).isoformat()
    return revision
