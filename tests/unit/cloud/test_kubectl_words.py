"""What kubectl complains of, as errors of ours: its words are those of 1.37.

Calls that really go somewhere are in tests/unit/operations/test_deploy.py and tests/kubernetes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from burst.cloud.kubectl import Kubectl, refusal
from burst.errors import (
    ClusterDenied,
    ClusterUnreachable,
    ConfigError,
    NotOnCluster,
    ToolError,
    ToolMissing,
)

PARSER = "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value"


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("error: cannot locate context nope", ConfigError, "the kubeconfig has no context nope"),
        ("error: current-context must exist in order to minify", ConfigError,
         "the kubeconfig says of no context that it is the current one"),
        (f'error: error loading config file "/etc/hostname": {PARSER}', ConfigError,
         "can't read /etc/hostname: that is no kubeconfig"),
        ('error: error loading config file "/root/k": open /root/k: permission denied', ConfigError,
         "can't read /root/k: permission denied"),
        ("error: You must be logged in to the server (Unauthorized)", ClusterDenied,
         "the cluster refuses: You must be logged in to the server (Unauthorized)"),
        ('Error from server (NotFound): statefulsets.apps "x" not found', NotOnCluster,
         'statefulsets.apps "x" not found'),
        ("The connection to the server 10.0.0.1:6443 was refused - did you specify the right host",
         ClusterUnreachable, "the cluster does not answer: The connection to the server "
         "10.0.0.1:6443 was refused"),
        ("Error: Kubernetes cluster unreachable: dial tcp", ClusterUnreachable,
         "the cluster does not answer: Kubernetes cluster unreachable: dial tcp"),
        ("error: something new", ToolError, "kubectl get failed: something new"),
    ],
)  # fmt: skip
def test_words_become_errors(said: str, kind: type[Exception], message: str) -> None:
    error = refusal(f"E0101 12:00:00 1 memcache.go] tried\n{said}\n", "kubectl get")
    assert type(error) is kind
    assert error.message == message


@pytest.mark.parametrize("where", ["missing", ""])
def test_a_kubeconfig_that_is_none_is_said_before_anybody_is_asked(
    tmp_path: Path, where: str
) -> None:
    with pytest.raises(ConfigError, match="kubeconfig") as caught:
        Kubectl(tmp_path / where, None, "burst").run("version")
    assert "burst up --kubeconfig FILE" in (caught.value.hint or "")


def test_without_kubectl_it_is_said_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing) as caught:
        Kubectl(None, None, "burst").run("version")
    assert "https://kubernetes.io" in (caught.value.hint or "")


def test_a_call_that_complains_much_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable} -IS\n{_COMPLAINS}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = Kubectl(None, None, "burst").lines("logs", "pod")
    assert next(lines) == "a line"
    with pytest.raises(NotOnCluster, match="pod not found"):
        next(lines)


_COMPLAINS = """
import signal, sys
signal.alarm(30)
sys.stderr.write("W0101 a warning\\n" * 10_000)
print("a line", flush=True)
sys.exit("error: pod not found")
"""
