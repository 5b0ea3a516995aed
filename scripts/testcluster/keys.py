"""Certificates, and kubeconfigs with them."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testcluster.places import API_SERVICE, Place

DAYS = 365
SELF = "cluster"
"""The name of the authority's files."""
REQUEST = """\
[req]
prompt = no
distinguished_name = subject
x509_extensions = extensions
[subject]
{subject}
[extensions]
{extensions}
"""
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local")  # fmt: skip


def make_authority(place: Place) -> None:
    """Make what all certificates of the cluster are signed by."""
    place.keys.mkdir(mode=0o700, parents=True)
    _openssl(place, SELF, ["CN=burst-test-cluster"], ["basicConstraints=critical,CA:TRUE"])


def make_certificate(
    place: Place, name: str, common_name: str, group: str = "", names: Sequence[str] = ()
) -> None:
    """Make a key and a certificate.

    Args:
        place: whose.
        name: of the files.
        common_name: who that is for Kubernetes.
        group: to which that belongs.
        names: under which a server is asked, as ``DNS:…`` or ``IP:…``.
    """
    subject = [f"O={group}"] * bool(group) + [f"CN={common_name}"]
    extensions = ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth"]
    extensions += [f"subjectAltName={','.join(names)}"] * bool(names)
    authority = ["-CA", _file(place, SELF, "crt"), "-CAkey", _file(place, SELF, "key")]
    _openssl(place, name, subject, extensions, authority)


def make_server_certificate(place: Place) -> None:
    """Make that of the API server."""
    addresses = [f"IP:{address}" for address in (place.address(1), "127.0.0.1", API_SERVICE)]
    names = [f"DNS:{name}" for name in SERVER_NAMES]
    make_certificate(place, "kube-apiserver", "kube-apiserver", names=[*addresses, *names])


def write_kubeconfig(place: Place, name: str, file: Path) -> Path:
    """Write what somebody with that certificate reaches the cluster by."""
    cluster = {
        "server": place.server,
        "certificate-authority-data": _encoded(place, SELF, "crt"),
    }
    user = {
        "client-certificate-data": _encoded(place, name, "crt"),
        "client-key-data": _encoded(place, name, "key"),
    }
    text = json.dumps({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "burst-test",
        "clusters": [{"name": "burst-test", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "burst-test", "context": {"cluster": "burst-test", "user": name}}],
    }, indent=1)  # fmt: skip
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def _openssl(
    place: Place,
    name: str,
    subject: Sequence[str],
    extensions: Sequence[str],
    options: Sequence[str] = (),
) -> None:
    request = Path(_file(place, name, "cnf"))
    text = REQUEST.format(subject="\n".join(subject), extensions="\n".join(extensions))
    request.write_text(text)
    command = [
        "openssl", "req", "-x509", "-config", str(request), "-days", str(DAYS), "-noenc",
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *options,
        "-keyout", _file(place, name, "key"), "-out", _file(place, name, "crt"),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    Path(_file(place, name, "key")).chmod(0o600)


def _file(place: Place, name: str, kind: str) -> str:
    return str(place.keys / f"{name}.{kind}")


def _encoded(place: Place, name: str, kind: str) -> str:
    return base64.b64encode(Path(_file(place, name, kind)).read_bytes()).decode()
