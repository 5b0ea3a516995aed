"""Settings of a farm on a cluster: where it is, and the worker pools it has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from burst.config.farm import FarmSettings
from burst.config.images import ImageSettings, image_blender
from burst.config.load import Settings, config_file, explain, load, read_table
from burst.errors import ConfigError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?\Z")
"""A farm's or a pool's name becomes part of names of Kubernetes, which end at 63 characters."""
NAME_HINT = "small letters, digits and hyphens, at most 30, beginning with a letter"

ZONE = re.compile(r"([a-z]+-[a-z]+\d+)-[a-z]")
"""A zone of Google Cloud, and its region."""

NOTE = "cluster.json"
"""In the state directory: which cluster `burst up` has put the farm on."""
KUBECONFIG = "kubeconfig"
"""Beside it: a kubeconfig in which burst logs in, where the one that was named needs a program
that is not here."""

ScenesWay = Literal["csi", "pvc", "fetch"]


class ClusterSettings(Settings):
    """Where the farm is, and what it is made of; its table is ``[cluster]``."""

    table: ClassVar[str] = "cluster"

    farm: str = "burst"
    """The farm's name: of its release, and of everything that is put on the cluster."""

    kubeconfig: Path | None = None
    """Kubeconfig of the cluster; with one, commands mean the farm there unless they are told
    ``--local``."""

    context: str | None = None
    """Context in that kubeconfig; by default the one that is current when ``burst up`` runs."""

    namespace: str | None = None
    """Namespace of the farm, which it has for itself; by default the farm's name."""

    scenes_by: ScenesWay | None = None
    """How workers read scenes: ``csi`` (Cloud Storage FUSE, as GKE has it), ``pvc`` (a claim with
    the bucket's content), or ``fetch`` (they bring them by themselves). By default ``csi`` where
    the cluster has the driver, else ``fetch``."""

    manager: dict[str, Any] = Field(default_factory=dict)
    """Values for the manager's chart, whatever else it takes (``[cluster.manager]``)."""

    worker: dict[str, Any] = Field(default_factory=dict)
    """Values for the chart of every worker pool (``[cluster.worker]``)."""

    @field_validator("kubeconfig")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("farm", "namespace")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        if name is not None and not NAME.match(name):
            raise ValueError(f"{name!r} is no name for it: {NAME_HINT}")
        return name

    @property
    def space(self) -> str:
        """Return the namespace."""
        return self.namespace or self.farm


class Taint(BaseModel):
    """What keeps pods from a node that do not bear it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    value: str = ""
    effect: Literal["NO_SCHEDULE", "PREFER_NO_SCHEDULE", "NO_EXECUTE"] = "NO_SCHEDULE"


class PoolSettings(BaseModel):
    """One worker pool; its table is ``[pools.NAME]``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    machine: str | None = None
    """Machine type of GKE, such as ``n2d-standard-8``: a worker takes all that it leaves, and
    runs on no other."""

    preference: int | None = Field(default=None, ge=0)
    """Pools with less are filled first; by default in the order of ``burst.toml``."""

    minimum: int = Field(default=0, ge=0)
    """Workers that are there even with nothing to do."""

    maximum: int = Field(default=10, ge=0, le=10_000)
    """Most workers at a time."""

    cores: float | None = Field(default=None, gt=0)
    """Processor cores of a worker; by default the machine's, else 4."""

    memory: str | None = None
    """Memory of a worker, such as ``28Gi``; by default the machine's, else 8Gi."""

    memory_class: int | None = Field(default=None, ge=0)
    """A task whose memory ran out comes back in a pool of a larger class; by default the pools
    are in order of their memory."""

    gpus: int | None = Field(default=None, ge=0, le=16)
    """GPUs of a worker; by default the machine's, else none."""

    blender: str | None = None
    """Blender of the worker image, as ``image_blender`` in ``[images]`` has it."""

    spot: bool = False
    """Its machines may be taken back."""

    gpu_type: str | None = None
    """On Google Cloud, GPU beside the machine as it is called there, such as ``nvidia-tesla-t4``;
    by default the one that the machine type has."""

    gpu_driver: Literal["DEFAULT", "LATEST"] = "DEFAULT"
    """On Google Cloud, driver of it that is installed."""

    zones: tuple[str, ...] = ()
    """On Google Cloud, zones of the region where its machines may be, the more the sooner they
    come; by default the cluster's own."""

    disk_gib: int = Field(default=100, ge=20, le=65_536)
    """On Google Cloud, boot disk of a machine, in GiB: images, and scratch where there is no local
    SSD."""

    disk_type: str | None = None
    """On Google Cloud, type of that disk, such as ``pd-balanced``; by default what GKE takes for
    the machine."""

    local_ssds: int = Field(default=0, ge=0, le=32)
    """On Google Cloud, local SSDs of a machine, 375 GB each, which scratch is on then."""

    shutdown_seconds: Literal[30, 120] | None = None
    """How long a spot machine that is taken back has to shut down, 30 or 120 seconds, 15 of which
    are not the workers'; by default GKE's 30."""

    longest_life_seconds: int | None = Field(default=None, ge=600, le=10_368_000)
    """On Google Cloud, a machine is deleted after so long, whatever it does: a guard against a farm
    that was forgotten; by default never."""

    labels: dict[str, str] = Field(default_factory=dict)
    """On Google Cloud, labels of its nodes in Kubernetes."""

    taints: tuple[Taint, ...] = ()
    """Taints of its nodes, each with ``key``, ``value`` and ``effect``; its workers bear them."""

    scenes_by: ScenesWay | None = None
    """As in ``[cluster]``, for this pool."""

    values: dict[str, Any] = Field(default_factory=dict)
    """Values for the worker chart, whatever else it takes (``[pools.NAME.values]``)."""

    @field_validator("zones")
    @classmethod
    def _are_zones(cls, zones: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [zone for zone in zones if not ZONE.fullmatch(zone)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no zone, such as europe-west4-a")
        return zones

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = []
        if self.shutdown_seconds is not None and not self.spot:
            found.append("shutdown_seconds is for spot machines: others are not taken back")
        if self.minimum > self.maximum:
            found.append(f"minimum is {self.minimum}, more than maximum, {self.maximum}")
        if found:
            raise ValueError("; ".join(found))
        return self

    @field_validator("memory")
    @classmethod
    def _is_memory(cls, size: str | None) -> str | None:
        if size is not None and not re.fullmatch(r"\d+(\.\d+)?(Mi|Gi|Ti|M|G|T)", size):
            raise ValueError(f"{size!r} is no amount of memory, such as 28Gi or 512Mi")
        return size

    @field_validator("blender")
    @classmethod
    def _is_blender(cls, name: str | None) -> str | None:
        return None if name is None else image_blender(name)


class ClusterFarm(FarmSettings):
    """Settings of the command line for a farm on a cluster, rather than on this machine."""

    cluster: ClusterSettings

    pools: dict[str, PoolSettings] = Field(default_factory=dict)
    """By name, in the order of ``burst.toml``."""

    @property
    def is_local(self) -> bool:
        """Say that it is not."""
        return False


def load_pools(environ: Mapping[str, str]) -> dict[str, PoolSettings]:
    """Return the worker pools of ``burst.toml``.

    Raises:
        ConfigError: a key is unknown or a value is wrong; all of them are named at once.
    """
    path = config_file(environ)
    pools: dict[str, PoolSettings] = {}
    problems = []
    for name, table in (read_table(path, "pools") if path else {}).items():
        if not NAME.match(name):
            problems.append(f"pools.{name}: that is no name for a pool: {NAME_HINT}")
            continue
        try:
            pools[name] = PoolSettings.model_validate(table)
        except ValidationError as error:
            problems.append(explain(error, prefix=f"pools.{name}"))
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return pools


@dataclass(frozen=True, slots=True)
class Note:
    """Which farm on which cluster the commands mean, as `burst up` found it."""

    farm: str
    kubeconfig: str
    context: str
    namespace: str
    made_from: str = ""
    """The kubeconfig that was named, where the one in use is a copy."""
    registry: str = ""
    """What stands before the names of its images."""


def read_note(state_dir: Path) -> Note | None:
    """Return where `burst up` has put the farm; None if it never did."""
    try:
        return Note(**json.loads((state_dir / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_note(state_dir: Path, note: Note) -> None:
    """Keep where the farm is; appears whole."""
    state_dir.mkdir(parents=True, exist_ok=True)
    temporary = state_dir / f"{NOTE}.new"
    temporary.write_text(json.dumps(asdict(note), indent=2) + "\n", encoding="utf-8")
    temporary.replace(state_dir / NOTE)


def forget_note(state_dir: Path) -> None:
    """Forget where the farm was, and how it was logged in there."""
    (state_dir / NOTE).unlink(missing_ok=True)
    (state_dir / KUBECONFIG).unlink(missing_ok=True)


def cluster_settings(
    state_dir: Path, options: Mapping[str, Any], environ: Mapping[str, str]
) -> ClusterSettings | None:
    """Return where the farm is that commands mean, or None if none is on a cluster.

    What was noted by `burst up` fills in what no option, variable or file says.

    Raises:
        ConfigError: a key is unknown or a value is wrong.
    """
    loaded = load(ClusterSettings, options, environ)
    note = read_note(state_dir)
    settings = loaded.settings
    if note is None:
        return settings if settings.kubeconfig else None
    if settings.kubeconfig not in (None, Path(note.kubeconfig), Path(note.made_from)):
        return settings
    noted = asdict(note)
    made_from = noted.pop("made_from")
    del noted["registry"]
    said = {name for name in noted if loaded.sources[name] != "default"}
    if settings.farm != note.farm and "farm" in said:
        # Another farm of the same cluster has a namespace of its own.
        del noted["namespace"]
    is_same = "context" not in said or settings.context == note.context
    if not is_same:
        # A copy has one context only.
        noted["kubeconfig"] = made_from or note.kubeconfig
    elif options.get("kubeconfig") is None:
        said -= {"kubeconfig"}
    unsaid = {name: value for name, value in noted.items() if name not in said}
    return ClusterSettings.model_validate({**settings.model_dump(), **unsaid})


def images_of(
    farm: ClusterFarm, options: Mapping[str, Any], environ: Mapping[str, str]
) -> ImageSettings:
    """Return which images a farm is made of.

    The registry that `burst up` was told of stays the farm's, for all who name none.

    Raises:
        ConfigError: a key is unknown or a value is wrong.
    """
    loaded = load(ImageSettings, options, environ)
    note = read_note(farm.state_dir)
    is_its_own = note is not None and note.farm == farm.cluster.farm
    if note is None or not is_its_own or loaded.sources["registry"] != "default":
        return loaded.settings
    registry = note.registry or loaded.settings.registry
    return loaded.settings.model_copy(update={"registry": registry})
