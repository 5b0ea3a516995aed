"""A credential for kubectl, of a login that is not asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from burst.cloud import token
from burst.errors import ClusterDenied, StorageDenied


class Login:
    """A login that is renewed at once, or not at all."""

    def __init__(self, error: Exception | None = None) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None
        self.error = error

    def refresh(self, _: Any) -> None:
        if self.error:
            raise self.error
        self.token, self.expiry = "swordfish", datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001


def given(login: Login, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    asked: list[Sequence[str]] = []

    def find(scopes: Sequence[str], what: str) -> Login:
        asked.append(scopes)
        return login

    monkeypatch.setattr(token, "find_login", find)
    return asked


def test_kubectl_gets_a_token_and_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = given(Login(), monkeypatch)
    assert json.loads(token.kube_credential({})) == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "swordfish", "expirationTimestamp": "2026-01-02T03:04:05Z"},
    }
    assert asked == [("https://www.googleapis.com/auth/cloud-platform",)]


def test_it_is_answered_in_the_version_that_it_asks_in(monkeypatch: pytest.MonkeyPatch) -> None:
    given(Login(), monkeypatch)
    version = "client.authentication.k8s.io/v1beta1"
    info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": {}})
    said = json.loads(token.kube_credential({"KUBERNETES_EXEC_INFO": info}))
    assert said["apiVersion"] == version


@pytest.mark.parametrize("info", ['{"apiVersion": "client.authentication.k8s.io/v9"}', "{", "[]"])
def test_what_kubectl_never_asks_is_refused(info: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given(Login(), monkeypatch)
    with pytest.raises(ClusterDenied):
        token.kube_credential({"KUBERNETES_EXEC_INFO": info})


def test_a_login_that_has_run_out_says_how_to_make_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from google.auth import exceptions

    given(Login(exceptions.RefreshError("invalid_grant")), monkeypatch)
    with pytest.raises(StorageDenied, match="can't log in to the cluster") as caught:
        token.kube_credential({})
    assert "gcloud auth" in (caught.value.hint or "")
