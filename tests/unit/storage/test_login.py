"""A token as a login: taken as it is, before all others, and never renewed.

The other logins are tried with the bucket, in test_access.
"""

from __future__ import annotations

import json

import pytest

from burst.cloud.token import kube_credential
from burst.errors import StorageDenied
from burst.storage.login import TOKEN, find_login, is_given, login_error, nobody


def test_a_token_comes_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    found = find_login(environ={TOKEN: " ya29.x\n"})
    assert found.token == "ya29.x"
    assert found.valid
    assert is_given(found)


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(StorageDenied):
        find_login(environ={TOKEN: ""})


def test_others_can_be_renewed() -> None:
    from google.oauth2 import credentials

    own = credentials.Credentials("x", refresh_token="r")  # type: ignore[no-untyped-call]
    assert not is_given(own)
    assert not is_given(nobody())


def test_a_token_that_is_not_taken_any_more_says_how_to_get_another() -> None:
    from google.auth import exceptions

    error = exceptions.RefreshError("no fields to renew it")  # type: ignore[no-untyped-call]
    ours = login_error(error, "can't look", find_login(environ={TOKEN: "x"}))
    assert isinstance(ours, StorageDenied)
    assert ours.message == f"can't look: the token in {TOKEN} is not taken any more"
    assert ours.hint == f'take a new one: export {TOKEN}="$(gcloud auth print-access-token)"'


def test_kubectl_gets_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "ya29.x")
    assert json.loads(kube_credential({}))["status"] == {"token": "ya29.x"}
