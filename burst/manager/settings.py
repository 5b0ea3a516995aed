"""Settings of the manager."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from burst.config.farm import default_state_dir
from burst.config.load import Settings


class ManagerSettings(Settings):
    """What the long-running manager needs to know."""

    table: ClassVar[str] = "manager"

    state_dir: Path = Field(default_factory=default_state_dir)
    """Folder of the database, the logs and the local workers. One manager a folder."""

    storage_url: str | None = None
    """Where scenes and frames live: a directory, or a bucket as ``gs://name``; by default
    ``storage`` in the state directory."""

    console_listen: str = "127.0.0.1:8080"
    """``host:port`` of the artists' API. Port 0 takes a free one, or that of the last run."""

    worker_listen: str = "127.0.0.1:8081"
    """``host:port`` of the workers' listener. Port 0 takes a free one, or that of the last run."""

    worker_token: SecretStr | None = None
    """Secret that workers show; by default one is made and kept in the state directory."""

    console_token: SecretStr | None = None
    """Secret that artists show; needed when the console listens beyond this machine."""

    console_hosts: str = ""
    """Names, comma-separated, under which the console may be asked for besides its address."""

    blender: str | None = None
    """The Blenders of local workers, separated as in PATH; by default every one that is found."""

    workers: int | None = Field(default=None, ge=0, le=1024)
    """Most local workers at a time, 0 for none; by default one for every two cores, at most
    eight."""

    provider: Literal["processes", "kubernetes"] = "processes"
    """What starts workers: ``processes`` on this machine, or ``kubernetes``, as Jobs of the worker
    pools that are described in the cluster."""

    kubernetes_namespace: str = "default"
    """Namespace of the pools and of the Jobs."""

    farm: str = Field(default="burst", pattern=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$")
    """Name of the farm in a cluster: only what is labeled with it is ours."""

    lease_seconds: float = Field(default=20.0, ge=1.0)
    """A worker that is silent for so long is lost and its tasks go to others. Long enough to
    outlast a paused virtual machine, short enough that nobody waits for a dead one."""

    idle_exit_seconds: float = Field(default=10.0, ge=0.0)
    """A worker that could claim nothing for so long leaves."""

    exit_when_idle_seconds: float | None = Field(default=None, ge=0.0)
    """Leave when no job was unfinished for so long; by default never."""

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """How much the manager logs."""

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("console_listen", "worker_listen")
    @classmethod
    def _host_and_port(cls, text: str) -> str:
        split_listen(text)
        return text

    @model_validator(mode="after")
    def _console_is_guarded(self) -> Self:
        host, _ = split_listen(self.console_listen)
        if not is_loopback(host) and not (self.console_token and self.console_hosts):
            raise ValueError(
                f"console_listen {self.console_listen} is not on the loopback; that needs "
                "BURST_CONSOLE_TOKEN and BURST_CONSOLE_HOSTS too"
            )
        return self


def split_listen(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port, like 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a listener on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
