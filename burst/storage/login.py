"""Who asks: the login to Google Cloud, as Google's libraries find it, and what goes wrong with it.

A token that ``GOOGLE_OAUTH_ACCESS_TOKEN`` holds comes first, as for Terraform. Then, in the order
in which Google's libraries look: a key that ``GOOGLE_APPLICATION_CREDENTIALS`` names, what
``gcloud auth application-default login`` left behind, and inside of Google's network the machine
itself. Google's library is imported when a login is first needed.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burst.errors import StorageAway, StorageDenied, StorageError

SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
"""What a login must be good for: objects, not who may do what."""

LOG_IN = "log in by `gcloud auth application-default login`"
TOKEN = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105 - its name, not the token
"""Holds a token that is taken as it is, and that nobody can renew."""
_KEY = "GOOGLE_APPLICATION_CREDENTIALS"
_MACHINE = Path("/sys/class/dmi/id/product_name")
"""Where a machine of Google's says so."""


def find_login(
    scopes: Sequence[str] = SCOPES,
    what: str = "can't ask the bucket",
    environ: Mapping[str, str] = os.environ,
) -> Any:
    """Return the login of this process, as Google's libraries take it.

    Args:
        scopes: what it must be good for.
        what: what it is wanted for, for messages.
        environ: may hold a token.

    Raises:
        StorageError: there is none, or it is damaged.
    """
    if token := environ.get(TOKEN, "").strip():
        return _given(token)
    _probe_briefly()
    import google.auth
    from google.auth import credentials, exceptions

    # It speaks of projects, which burst doesn't need, and of looking for a machine of Google's.
    logging.getLogger("google.auth").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = _left_by_gcloud()
            if not os.environ.get(_KEY) and path.is_file():
                # google.auth.default would start gcloud, to be told of a project: a second.
                found, _ = google.auth.load_credentials_from_file(str(path))  # type: ignore[no-untyped-call]
            else:
                found, _ = google.auth.default()
            return credentials.with_scopes_if_required(found, scopes)  # type: ignore[no-untyped-call]
    except exceptions.GoogleAuthError as error:
        raise login_error(error, what) from error
    except OSError as error:
        raise _no_login(f" ({error.filename}: {error.strerror})", what) from error
    except AttributeError as error:
        # It looks for names in whatever JSON there is.
        raise _no_login(" (that is no file of a login)", what) from error


def _given(token: str) -> Any:
    from google.oauth2 import credentials

    return credentials.Credentials(token)  # type: ignore[no-untyped-call]


def is_given(login: Any) -> bool:
    """Say whether a login is but a token, which nobody can renew."""
    is_bare = getattr(login, "refresh_token", "") is None and account_of(login) is None
    return is_bare and bool(getattr(login, "token", None))


def nobody() -> Any:
    """Return the login that an emulator takes."""
    from google.auth import credentials

    return credentials.AnonymousCredentials()  # type: ignore[no-untyped-call]


def account_of(login: Any) -> str | None:
    """Return whose login it is, where it says so."""
    for told in ("service_account_email", "signer_email", "account"):
        named = getattr(login, told, None)
        if isinstance(named, str) and "@" in named:
            return named
    return None


def login_error(error: Exception, what: str, login: Any = None) -> StorageError:
    """Turn an exception of google-auth into ours."""
    from google.auth import exceptions

    reason = first_line(str(error.args[0]) if error.args else "")
    if _may_pass(error):
        return StorageAway(
            f"{what}: nobody answers who could renew the login ({reason})",
            hint="look at the network; then the same command goes on",
        )
    if isinstance(error, exceptions.RefreshError):
        return refused(reason, what, login)
    return _no_login("" if "credentials were not found" in reason else f" ({reason})", what)


def _no_login(why: str, what: str) -> StorageDenied:
    return StorageDenied(
        f"{what}: there is no login to Google Cloud{why}",
        hint=f"{LOG_IN}, or have {_KEY} name the key of a service account",
    )


def _may_pass(error: Exception) -> bool:
    """Say whether nobody answered who could renew the login, rather than that he refused."""
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError) or getattr(error, "retryable", False):
        return True
    # So a machine of Google's says both that it does not answer, and that it has no account.
    cause = error.__cause__
    return isinstance(cause, exceptions.TransportError) and "Status: 4" not in str(cause)


def refused(reason: str, what: str, login: Any = None) -> StorageDenied:
    """Return the error for a login that is not taken any more."""
    if is_given(login):
        return StorageDenied(
            f"{what}: the token in {TOKEN} is not taken any more",
            hint=f'take a new one: export {TOKEN}="$(gcloud auth print-access-token)"',
        )
    account = account_of(login)
    if account and account.endswith(".gserviceaccount.com"):
        return StorageDenied(
            f"{what}: the login of {account} is not taken ({reason})",
            hint="look whether the service account is still there, and the key of it that is used",
        )
    return StorageDenied(f"{what}: the login has run out ({reason})", hint=LOG_IN)


def first_line(text: str) -> str:
    """Return the first line of what a library said, cut where it never ends."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].rstrip(".")[:300] if lines else "no reason given"


def _left_by_gcloud() -> Path:
    named = os.environ.get("CLOUDSDK_CONFIG")
    # Where nobody knows of a home, there is nothing in it.
    folder = Path(named or os.path.expanduser("~/.config/gcloud"))  # noqa: PTH111
    return folder / "application_default_credentials.json"


def _probe_briefly() -> None:
    """Have the machine itself asked once only, where it is hardly one of Google's.

    Elsewhere its address leads nowhere: three tries would take a dozen seconds.
    """
    try:
        is_likely = _MACHINE.read_text("utf-8").startswith("Google")
    except OSError:
        is_likely = False
    if not is_likely:
        os.environ.setdefault("GCE_METADATA_DETECT_RETRIES", "1")
