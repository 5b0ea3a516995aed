"""How a bucket is named, who asks it, how long, and what each of its refusals is called.

A login by a person's Google account can't be had here: what `gcloud` leaves behind is only looked
for. The service account's is whole, with a stand-in for those who give out the tokens.
"""

from __future__ import annotations

import json
import os
import pickle
import pwd
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.auth import exceptions

from burst.errors import (
    ConfigError,
    StorageAway,
    StorageConflict,
    StorageDenied,
    StorageError,
)
from burst.storage import access as access_module
from burst.storage import login
from burst.storage.access import GOOGLE, Access, bucket_error, open_access
from burst.storage.bucket import BucketStorage, open_bucket
from tests.fakes.emulator import free_port
from tests.fakes.strict_gcs import WORKER, StrictGcs

DENIED = (
    "{} does not have storage.objects.create access to the Google Cloud Storage object. "
    "Permission 'storage.objects.create' denied on resource (or it may not exist)."
)


@pytest.fixture
def signed(gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """The way to a bucket that wants a login, with the key of a service account."""
    gcs.token = "first"
    gcs.write_key(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    return Access("farm", gcs.endpoint)


@pytest.fixture
def google() -> Access:
    return Access("farm", anonymous=False)


def test_a_bucket_is_google_s_unless_there_is_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    for url in ("gs://farm", "gs://farm/"):
        access = open_access(url)
        assert (access.url, access.bucket, access.endpoint) == ("gs://farm", "farm", GOOGLE)
        assert not access.anonymous
    for told in ("http://localhost:4443", "http://localhost:4443/", "localhost:4443"):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", told)
        access = open_access("gs://farm")
        assert access.endpoint == "http://localhost:4443"
        assert access.headers() == {}


@pytest.mark.parametrize(
    "url", ["gs://", "gs://x", "gs://Farm", "gs://farm?x", "gs://-farm", "gs:///farm", "gs:/farm"]
)
def test_what_can_be_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="can't be a bucket") as caught:
        open_access(url)
    assert caught.value.hint


def test_a_folder_of_a_bucket_is_refused() -> None:
    with pytest.raises(ConfigError, match="gs://farm/shots is a folder of a bucket") as caught:
        open_access("gs://farm/shots")
    assert "gs://farm" in str(caught.value.hint)


@pytest.mark.parametrize(
    "named", ["http://[::1", "localhost:99999", "localhost:x", "http://:80", "ftp://x", "\udcff"]
)
def test_what_can_be_no_emulator_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", named)
    with pytest.raises(ConfigError, match=r"STORAGE_EMULATOR_HOST is .* no address"):
        open_access("gs://farm")


@pytest.mark.parametrize(
    "named",
    [
        "http://localhost:4443/base",
        "localhost:4443/base/",
        "http://localhost:4443?x=y",
        "http://localhost:4443#x",
        "http://me:secret@localhost:4443",
        "http://me@localhost:4443",
    ],
)
def test_an_emulator_is_a_host_and_a_port_and_no_more(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", named)
    with pytest.raises(ConfigError, match="STORAGE_EMULATOR_HOST has more than") as caught:
        open_access("gs://farm")
    assert "http://localhost:4443 alone" in str(caught.value.hint)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_an_access_goes_to_another_process() -> None:
    access = Access("farm", "http://localhost:1", anonymous=True)
    access.has_answered = True
    again = pickle.loads(pickle.dumps(access))
    assert (again.bucket, again.endpoint, again.anonymous, again.has_answered) == (
        "farm", "http://localhost:1", True, True,
    )  # fmt: skip


def test_pauses_grow_by_chance_up_to_a_bound_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(access_module.time, "monotonic", lambda: now[0])
    access = Access("farm")

    def pauses() -> list[float]:
        started, found = now[0], []
        for pause in access.pauses():
            found.append(pause)
            now[0] += pause
        assert now[0] - started <= access.patience_seconds * 1.25
        return found

    at_first = pauses()
    access.has_answered = True
    later = pauses()
    assert sum(at_first) < sum(later)
    assert access.first_pause_seconds / 4 <= later[0] <= access.first_pause_seconds
    assert max(later) <= access.longest_pause_seconds
    assert max(later[4:]) > access.first_pause_seconds
    assert pauses() != later


@pytest.mark.parametrize(
    ("status", "message", "kind", "said", "hint"),
    [
        (404, "The specified bucket does not exist.", StorageError,
         "there is no bucket farm", "gcloud storage buckets create gs://farm"),
        (404, "No such object: farm/x", StorageError, "refuses it (404 No such object", None),
        (412, "At least one of the pre-conditions you specified did not hold.", StorageConflict,
         "has changed meanwhile", None),
        (429, "The object exceeded the rate limit", StorageAway, "too busy", "wait"),
        (503, "", StorageAway, "(503 no reason given)", "wait"),
        (403, "Quota exceeded for quota metric", StorageAway, "too many requests", "wait"),
        (403, DENIED.format("artist@example.com"), StorageDenied,
         "artist@example.com has no storage.objects.create on gs://farm",
         "`gcloud storage buckets add-iam-policy-binding gs://farm "
         "--member=user:artist@example.com --role=roles/storage.objectUser`"),
        (403, DENIED.format("w@p.iam.gserviceaccount.com"), StorageDenied,
         "w@p.iam.gserviceaccount.com has no storage.objects.create",
         "--member=serviceAccount:w@p.iam.gserviceaccount.com"),
        (403, "The billing account for the owning project is disabled in state absent",
         StorageDenied, "billing account", "gcloud billing projects link"),
        (403, "artist@example.com does not have serviceusage.services.use access to the project.",
         StorageDenied, "serviceusage.services.use", "set-quota-project"),
        (403, "Provided scope(s) are not authorized", StorageDenied, "scope", "storage-rw"),
        (403, "Cloud Storage JSON API has not been used in project 1 before or it is disabled.",
         StorageDenied, "has not been used", "gcloud services enable storage.googleapis.com"),
        (403, "Request is prohibited by organization's policy.", StorageDenied,
         "refuses access (Request is prohibited by organization's policy)", None),
        (400, "Bucket is a requester pays bucket but no user project provided.", StorageError,
         "(400 Bucket is a requester pays bucket", None),
    ],
)  # fmt: skip
def test_each_refusal_has_its_sentence_and_what_to_do(
    google: Access, status: int, message: str, kind: type, said: str, hint: str | None
) -> None:
    error = bucket_error(status, message, "can't read logs/x", google)
    assert type(error) is kind
    assert error.message.startswith("can't read logs/x: ")
    assert said in error.message
    assert (hint is None and error.hint is None) or str(hint) in str(error.hint)


def test_who_is_not_named_by_the_refusal_is_named_by_the_login(signed: Access) -> None:
    error = bucket_error(403, DENIED.format("Caller"), "can't read x", signed)
    assert f"{WORKER} has no storage.objects.create" in error.message
    assert f"--member=serviceAccount:{WORKER}" in str(error.hint)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("HTTPConnectionPool(x): Max retries exceeded (Caused by NewConnectionError('<x>: Failed "
         "to establish a new connection: [Errno 111] Connection refused'))", "Connection refused"),
        ("[Errno 113] Connect call failed ('10.0.0.1', 443)", "No route to host"),
        ("[Errno -2] Name or service not known", "Name or service not known"),
        ("HTTPSConnectionPool(x) (Caused by SSLError(SSLCertVerificationError(1, '[SSL: "
         "CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed (_ssl.c:1006)')))",
         "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"),
        ("Read timed out", "Read timed out"),
    ],
)  # fmt: skip
def test_what_keeps_from_reaching_it_is_said_plainly(
    google: Access, message: str, said: str
) -> None:
    error = bucket_error(None, message, "can't read x", google)
    assert isinstance(error, StorageAway)
    assert error.message == f"can't read x: {GOOGLE} can't be reached ({said})"
    assert error.hint


def test_a_network_that_is_not_there_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Access, "patience_seconds_at_first", 0.2)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    started = time.monotonic()
    with pytest.raises(StorageAway, match=r"can't read x: .* \(Connection refused\)"):
        open_bucket("gs://farm").get_bytes("x")
    assert time.monotonic() - started < Access.patience_seconds_once_reached / 2


def test_a_service_account_logs_in(signed: Access) -> None:
    assert signed.headers()["authorization"] == "Bearer first"
    storage = BucketStorage(signed)
    storage.put_bytes(b"x", "logs/x")
    assert storage.get_bytes("logs/x") == b"x"


def test_a_token_that_ends_before_its_time_is_renewed(signed: Access, gcs: StrictGcs) -> None:
    storage = BucketStorage(signed)
    storage.put_bytes(b"x", "logs/x")
    gcs.token = "second"
    assert storage.get_bytes("logs/x") == b"x"
    gcs.token = "third"
    assert signed.headers(anew=True)["authorization"] == "Bearer third"


def test_a_login_that_is_taken_back_in_the_middle_is_told_so(
    signed: Access, gcs: StrictGcs
) -> None:
    storage = BucketStorage(signed)
    storage.put_bytes(b"x", "logs/x")
    gcs.token, gcs.has_revoked_keys = "second", True
    for deed in (lambda: storage.get_bytes("logs/x"), lambda: signed.headers(anew=True)):
        with pytest.raises(StorageDenied, match=f"the login of {WORKER} is not taken") as caught:
            deed()
        assert "invalid_grant" in caught.value.message
        assert "key" in str(caught.value.hint)


def test_an_artist_whose_login_has_run_out_is_told_to_log_in() -> None:
    from google.auth.exceptions import RefreshError
    from google.oauth2.credentials import Credentials

    error = login.login_error(
        RefreshError("Reauthentication is needed. Please run `gcloud auth …`\nmore"),
        "can't send shot.blend",
        Credentials("token", account="artist@example.com"),
    )
    assert isinstance(error, StorageDenied)
    assert error.message == (
        "can't send shot.blend: the login has run out "
        "(Reauthentication is needed. Please run `gcloud auth …`)"
    )
    assert error.hint == "log in by `gcloud auth application-default login`"


def test_a_bucket_that_takes_no_token_at_all_says_so(gcs: StrictGcs) -> None:
    gcs.token = "something"
    with pytest.raises(StorageDenied) as caught:
        open_bucket("gs://farm").get_bytes("x")
    assert "STORAGE_EMULATOR_HOST" in str(caught.value.hint)


def test_those_who_renew_a_login_may_be_out_of_reach(signed: Access, tmp_path: Path) -> None:
    key = json.loads((tmp_path / "key.json").read_text())
    key["token_uri"] = f"http://127.0.0.1:{free_port()}/token"
    (tmp_path / "key.json").write_text(json.dumps(key))
    with pytest.raises(StorageAway, match="nobody answers who could renew the login"):
        signed.headers()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.RefreshError("backend error", retryable=True), StorageAway),
        (exceptions.RefreshError("invalid_grant"), StorageDenied),
        (exceptions.RefreshError(exceptions.TransportError("no route")), StorageAway),
        (exceptions.RefreshError(exceptions.TransportError("x Status: 404 y")), StorageDenied),
    ],
)
def test_a_login_that_can_not_be_renewed_just_now_has_not_run_out(
    error: Exception, kind: type[StorageError]
) -> None:
    # As Google's library does it where the machine is asked.
    error.__cause__ = error.args[0] if isinstance(error.args[0], Exception) else None
    assert type(login.login_error(error, "can't read x")) is kind


@pytest.mark.parametrize("named", ["folder", "list.json"])
def test_what_is_no_file_of_a_login_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.json").write_text("[]")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / named))
    with pytest.raises(StorageDenied, match="there is no login to Google Cloud") as caught:
        Access("farm").headers()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value.hint)


def test_who_has_no_home_has_no_login_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)

    def nobody(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    with pytest.raises(StorageDenied, match="there is no login to Google Cloud"):
        login.find_login()


@pytest.mark.parametrize("content", [None, "no json", "{}"])
def test_a_key_that_is_none_is_an_error(
    signed: Access, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "key.json").unlink()
    if content is not None:
        (tmp_path / "key.json").write_text(content)
    with pytest.raises(StorageDenied, match="there is no login to Google Cloud") as caught:
        signed.headers()
    assert str(tmp_path / "key.json") in caught.value.message
    assert "gcloud auth application-default login" in str(caught.value.hint)


WITHOUT_LOGIN = """
import sys, time
from burst.errors import StorageDenied
from burst.storage.access import open_access
started = time.monotonic()
try:
    open_access("gs://farm").headers()
except StorageDenied as error:
    print(error.message, "|", error.hint)
print(time.monotonic() - started < 20)
"""
BY_GCLOUD = """
from burst.storage.access import open_access
print(type(open_access("gs://farm").login()).__module__)
"""


def _run(code: str, **environment: str) -> str:
    """Run Python in a process that has no login but what ``environment`` names."""
    kept = ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG")
    own = {name: value for name, value in os.environ.items() if name not in kept}
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        env={**own, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def test_who_never_logged_in_is_told_how_and_soon() -> None:
    # The address of the machine's own login, in a network where nobody has it.
    out = _run(WITHOUT_LOGIN, GCE_METADATA_IP=f"127.0.0.1:{free_port()}").splitlines()
    assert out[0].startswith("can't ask the bucket: there is no login to Google Cloud |")
    assert "log in by `gcloud auth application-default login`" in out[0]
    assert out[1:] == ["True"]


@pytest.mark.parametrize("is_moved", [False, True])
def test_what_gcloud_left_is_found_without_asking_gcloud(tmp_path: Path, is_moved: bool) -> None:
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    left = {
        "type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c",
    }  # fmt: skip
    (folder / "application_default_credentials.json").write_text(json.dumps(left))
    # A gcloud that says when it is asked.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gcloud").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    (tmp_path / "bin" / "gcloud").chmod(0o755)
    places = {"CLOUDSDK_CONFIG": str(folder)} if is_moved else {"HOME": str(tmp_path)}
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    assert _run(BY_GCLOUD, PATH=path, **places) == "google.oauth2.credentials\n"
    assert not (tmp_path / "asked").exists()


def test_the_machine_of_google_is_looked_for_as_long_as_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "GCE_METADATA_DETECT_RETRIES"
    monkeypatch.setattr(login, "_MACHINE", tmp_path / "product_name")
    monkeypatch.setenv(name, "")  # so that it is put back
    monkeypatch.delenv(name)
    (tmp_path / "product_name").write_text("Google Compute Engine\n")
    login._probe_briefly()
    assert name not in os.environ
    (tmp_path / "product_name").write_text("Some Laptop\n")
    login._probe_briefly()
    assert os.environ[name] == "1"
