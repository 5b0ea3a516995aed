"""A process that Terraform starts and calls: the handshake, the certificates, the services.

Terraform ends a provider by a call. Ctrl-C reaches the whole process group, so a provider takes no
notice of it: Terraform tells it to stop by a call too.
"""

from __future__ import annotations

import base64
import datetime
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.terraform_provider import messages

COOKIE = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
)
"""What Terraform has in the environment of a plugin, so that nobody starts one by mistake."""

CORE_VERSION, PROTOCOL_VERSION = 1, 5
CALLS_AT_ONCE = 24
"""More than the ten resources that Terraform works at: a call to stop must find a thread."""

GRACE_SECONDS = 2
PARENT_SECONDS = 0.5
Handler = Callable[[Any], Any]


def serve(handlers: dict[str, Handler]) -> None:
    """Take calls until Terraform says that it needs no more."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit("This is a plugin of Terraform, which starts it by itself.")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    over = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(CALLS_AT_ONCE))
    server.add_generic_rpc_handlers((_provider(handlers), *_plugin(over)))
    with tempfile.TemporaryDirectory(prefix="provider-") as folder:
        address = Path(folder) / "socket"
        certificate, credentials = _identity()
        server.add_secure_port(f"unix:{address}", credentials)
        server.start()
        shown = base64.b64encode(certificate).decode().rstrip("=")
        print(CORE_VERSION, PROTOCOL_VERSION, "unix", address, "grpc", shown, sep="|", flush=True)
        _wait_for_end(over, parent)
        server.stop(GRACE_SECONDS).wait()


def _wait_for_end(over: threading.Event, parent: int) -> None:
    """Wait until Terraform says so, or is gone: a killed one says nothing."""
    while not over.wait(PARENT_SECONDS):
        if os.getppid() != parent:
            over.set()


def _provider(handlers: dict[str, Handler]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        f"{messages.PACKAGE}.Provider",
        {name: _unary(handlers[name], *asked) for name, asked in messages.METHODS.items()},
    )


def _plugin(over: threading.Event) -> tuple[grpc.GenericRpcHandler, ...]:
    """Return the services that every plugin has: its end, and its output, which is none."""

    def shut_down(_: Any) -> Any:
        over.set()
        return messages.make("Empty")

    def no_output(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        over.wait()
        return iter(())

    output = grpc.unary_stream_rpc_method_handler(
        no_output, messages.message("Empty").FromString, lambda one: one.SerializeToString()
    )
    return (
        grpc.method_handlers_generic_handler(
            "plugin.GRPCController", {"Shutdown": _unary(shut_down, "Empty", "Empty")}
        ),
        grpc.method_handlers_generic_handler("plugin.GRPCStdio", {"StreamStdio": output}),
    )


def _unary(handler: Handler, asked: str, given: str) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        lambda request, _: handler(request),
        messages.message(asked).FromString,
        messages.message(given).SerializeToString,
    )


def _identity() -> tuple[bytes, grpc.ServerCredentials]:
    """Make a certificate of this process; Terraform will trust no other."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Terraform's certificate has a curve that gRPC's library does not take. Nobody else reaches the
    # socket: its folder is the user's own.
    credentials = grpc.ssl_server_credentials(
        [(private, made.public_bytes(serialization.Encoding.PEM))]
    )
    return made.public_bytes(serialization.Encoding.DER), credentials
