"""How a host is reached: who vouches for it, and by which proxy.

Left out: its addresses, which `test_bulk_trouble` looks at with those who ask there.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from burst.errors import ConfigError
from burst.storage import bulk
from burst.storage.access import GOOGLE, Access
from burst.storage.bulk_desk import Desk
from burst.storage.bulk_line import Line
from burst.storage.bulk_reach import tls_context, uses_proxy
from tests.fakes.asynchronous import asynchronous
from tests.fakes.emulator import free_port
from tests.fakes.raw_http import answering, ok, raw_tls, serving
from tests.fakes.strict_gcs import StrictGcs

EMULATOR = "http://127.0.0.1:4443"
BUNDLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
PROXIES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *map(str.upper, PROXIES), *BUNDLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@asynchronous
@pytest.mark.parametrize("way", ["wire", "channels", "session"])
@pytest.mark.parametrize("name", [*BUNDLES, "SSL_CERT_FILE"])
async def test_whoever_the_environment_vouches_for_is_trusted(
    way: str, name: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(certificate))
    async with serving(answering(ok(b"x")), tls=raw_tls(certificate)) as server:
        access = Access("farm", server.url, anonymous=True)
        async with Line(access) as line:
            assert await asked_by(way, line) == b"x"


async def asked_by(way: str, line: Line) -> bytes:
    if way == "wire":
        return (await line.exchange("GET", "/")).content
    if way == "channels":
        return (await line.post("/", {}, 0, lambda: iter([]), frozenset())).content
    async with line.open("GET", "/") as response:
        return await response.read()


def test_a_folder_of_certificates_is_one_too(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.parent))
    assert tls_context().verify_mode


def test_whom_python_s_libraries_trust_is_trusted_beside_the_system_s(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trusted = [dict(pair[0] for pair in one["subject"]) for one in tls_context().get_ca_certs()]
    assert {"commonName": "server of a test"} in trusted
    assert len(trusted) > 50


def test_the_first_bundle_stands_for_python_s_libraries(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "nothing"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert len(tls_context().get_ca_certs()) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_that_is_none_is_said(
    name: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(name, str(bundle))
    with pytest.raises(ConfigError, match=rf"{name} is .*bundle\.pem") as failure:
        bulk.lacking(Desk(Access("farm")), ["x"])
    assert name in str(failure.value.hint)


@pytest.mark.parametrize(
    ("environment", "endpoint", "goes_by_it"),
    [
        ({}, GOOGLE, False),
        ({"https_proxy": "http://proxy:3128"}, GOOGLE, True),
        ({"HTTPS_PROXY": "http://proxy:3128"}, GOOGLE, True),
        ({"https_proxy": "http://proxy:3128"}, EMULATOR, False),
        ({"http_proxy": "http://proxy:3128"}, EMULATOR, True),
        ({"http_proxy": "http://proxy:3128"}, GOOGLE, False),
        ({"all_proxy": "http://proxy:3128"}, GOOGLE, False),
        ({"ALL_PROXY": "socks5://proxy:1080"}, GOOGLE, False),
        ({"https_proxy": "https://proxy:3128"}, GOOGLE, False),
        ({"https_proxy": "http://proxy:3128", "no_proxy": ".googleapis.com"}, GOOGLE, False),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "127.0.0.1"}, EMULATOR, False),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "example.com"}, GOOGLE, True),
    ],
)
def test_a_proxy_is_used_where_aiohttp_uses_one(
    environment: dict[str, str], endpoint: str, goes_by_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert uses_proxy(endpoint) is goes_by_it
    assert asyncio.run(_aiohttp_s(endpoint)) is goes_by_it


async def _aiohttp_s(endpoint: str) -> bool:
    from aiohttp.helpers import get_env_proxy_for_url
    from yarl import URL

    with contextlib.suppress(LookupError):
        return bool(get_env_proxy_for_url(URL(endpoint)))
    return False


def test_where_aiohttp_uses_no_proxy_nothing_else_does(
    access: Access, gcs: StrictGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    bulk.put(Desk(access), b"x", "logs/x")
    assert "logs/x" in gcs.buckets["farm"]
