"""A login to Google Cloud as a credential for kubectl, which then needs no plugin of Google's.

``burst kube-token`` is what a kubeconfig names as its program. The token lives for an hour and is
kept nowhere: google-auth makes another one in a tenth of a second.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from burst.errors import ClusterDenied
from burst.storage.login import find_login, is_given, login_error

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What GKE wants; what the login may do there is said by IAM and by the cluster's roles."""

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


def kube_credential(environ: Mapping[str, str] = os.environ) -> str:
    """Return what kubectl reads of a program that logs in: an ``ExecCredential`` as JSON.

    Raises:
        ClusterDenied: kubectl asks for a version of it that burst does not know.
        StorageError: there is no login, or it is not taken any more.
    """
    version = _version_asked(environ.get("KUBERNETES_EXEC_INFO", ""))
    login = _fresh_login()
    status: dict[str, Any] = {"token": login.token}
    if login.expiry is not None:
        ends = login.expiry.replace(tzinfo=UTC)
        status["expirationTimestamp"] = f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def _version_asked(info: str) -> str:
    if not info:
        return _VERSIONS[0]
    try:
        version = str(json.loads(info)["apiVersion"])
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterDenied("KUBERNETES_EXEC_INFO is not what kubectl writes") from error
    if version not in _VERSIONS:
        raise ClusterDenied(f"kubectl asks for a credential of version {version}")
    return version


def _fresh_login() -> Any:
    login = find_login((SCOPE,), "can't log in to the cluster")
    if is_given(login):
        return login
    import google.auth.transport.requests
    from google.auth import exceptions

    try:
        login.refresh(google.auth.transport.requests.Request())
    except exceptions.GoogleAuthError as error:
        raise login_error(error, "can't log in to the cluster", login) from error
    return login
