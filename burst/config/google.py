"""Settings of a farm on Google Cloud, and all that names of it follow from.

What was used for a farm lies beside its state as ``farm.json``, so that another laptop which knows
project and name can do all with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from burst import __version__
from burst.config.cluster import ZONE, ClusterFarm, ClusterSettings, PoolSettings
from burst.config.google_rules import pool_mistakes, range_mistakes, system_machine_mistakes
from burst.config.images import ImageSettings
from burst.config.load import Settings, explain, load
from burst.errors import ConfigError

SETTINGS_FILE = "farm.json"
"""In the state bucket: the settings as they were used."""
FORMAT = 1
"""Of that file; what it says is read by this number alone."""

_REMEMBERED = "google.json"
"""In the state directory: which farm `burst up` has made."""

LONGEST_NAME = 23
"""Of a farm: ids of its service accounts end at 30 characters."""
_FARM_LABEL = "burst-farm"
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+\d+")
_LABEL_KEY, _LABEL_VALUE = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{0,63}")
_LONGEST_BUCKET = 63


class GoogleSettings(Settings):
    """Where on Google Cloud the farm is, and what makes it."""

    table: ClassVar[str] = "google"

    project: str | None = None
    """Id of the project; with one, ``burst up`` makes the farm's cluster there."""

    zone: str | None = None
    """Zone of the cluster, such as ``europe-west4-a``."""

    region: str | None = None
    """Region of bucket, registry and machines; by default the zone's."""

    system_machine: str = "e2-standard-2"
    """Machine type of the one node that is always there, for the manager."""

    terraform: str = "terraform"
    """Name or path of terraform or tofu, 1.9 or newer."""

    tools_mirror: str | None = None
    """Where ``burst doctor --fix`` fetches tools from in place of their makers' sites: an address
    with the same paths."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of everything that is made there, besides ``burst-farm``."""

    ranges: dict[str, str] = Field(default_factory=dict)
    """Address ranges of the farm's own network: ``nodes``, ``pods`` and ``services``."""

    attempt_days: int = Field(default=7, ge=1, le=365)
    """Uploads that were never published are deleted after so many days."""

    preview_days: int = Field(default=30, ge=1, le=3650)
    """The console's small pictures are deleted after so many days."""

    deletion_protection: bool = False
    """Refuse to delete the cluster until this is taken back."""

    poll_interval: str | None = None
    """How often Terraform asks whether something is done, such as ``2s``; by default every 10 s."""

    @field_validator("project")
    @classmethod
    def _is_project(cls, name: str | None) -> str | None:
        if name is not None and not _PROJECT.fullmatch(name):
            raise ValueError(f"{name!r} is no id of a project; see: gcloud projects list")
        return name

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str | None) -> str | None:
        if zone is not None and not ZONE.fullmatch(zone):
            raise ValueError(f"{zone!r} is no zone, such as europe-west4-a")
        return zone

    @field_validator("region")
    @classmethod
    def _is_region(cls, region: str | None) -> str | None:
        if region is not None and not _REGION.fullmatch(region):
            raise ValueError(f"{region!r} is no region, such as europe-west4")
        return region

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for key, value in labels.items():
            if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
                raise ValueError(
                    f"{key} = {value!r} is no label of Google's: small letters, digits, - and _"
                )
        return labels

    @field_validator("ranges")
    @classmethod
    def _are_ranges(cls, ranges: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(ranges) - {"nodes", "pods", "services"})
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of nodes, pods and services")
        return ranges

    @field_validator("poll_interval")
    @classmethod
    def _is_interval(cls, interval: str | None) -> str | None:
        if interval is not None and not re.fullmatch(r"\d+(ms|s)", interval):
            raise ValueError(f"{interval!r} is no duration, such as 2s or 500ms")
        return interval

    @model_validator(mode="after")
    def _zone_is_in_region(self) -> Self:
        if self.zone and self.region and not self.zone.startswith(f"{self.region}-"):
            raise ValueError(f"zone {self.zone} is not in region {self.region}")
        return self


@dataclass(frozen=True, slots=True)
class GoogleFarm:
    """A farm on Google Cloud: all of its settings."""

    settings: ClusterFarm
    google: GoogleSettings
    images: ImageSettings

    @property
    def name(self) -> str:
        """Return the farm's name."""
        return self.settings.cluster.farm

    @property
    def project(self) -> str:
        """Return the id of its project."""
        return self.google.project or ""

    @property
    def zone(self) -> str:
        """Return the cluster's zone."""
        return self.google.zone or ""

    @property
    def region(self) -> str:
        """Return the region of everything."""
        return self.google.region or self.zone.rpartition("-")[0]

    @property
    def state_bucket(self) -> str:
        """Return the name of the bucket with its state."""
        return state_bucket(self.project, self.name)

    @property
    def data_bucket(self) -> str:
        """Return the name of the bucket with scenes and frames."""
        return f"{self.project}-{self.name}-data"

    @property
    def registry(self) -> str:
        """Return what stands before the names of its images: its own registry, or another."""
        own = f"{self.region}-docker.pkg.dev/{self.project}/{self.name}"
        named = self.images.registry
        return own if named == ImageSettings().registry else named

    @property
    def place(self) -> Path:
        """Return its folder in the state directory."""
        return self.settings.state_dir / "google" / self.state_bucket

    def with_storage(self) -> GoogleFarm:
        """Return the farm with its own bucket as its storage."""
        url = f"gs://{self.data_bucket}"
        return replace(self, settings=self.settings.model_copy(update={"storage_url": url}))


def remember(state_dir: Path, project: str, farm: str) -> None:
    """Keep which farm on Google Cloud the commands mean; appears whole."""
    state_dir.mkdir(parents=True, exist_ok=True)
    temporary = state_dir / f"{_REMEMBERED}.new"
    temporary.write_text(json.dumps({"project": project, "farm": farm}) + "\n", encoding="utf-8")
    temporary.replace(state_dir / _REMEMBERED)


def remembered(state_dir: Path) -> tuple[str, str] | None:
    """Return project and name of the farm that commands mean, where nothing else says so."""
    try:
        told = json.loads((state_dir / _REMEMBERED).read_text(encoding="utf-8"))
        return str(told["project"]), str(told["farm"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(state_dir: Path) -> None:
    """Forget it."""
    (state_dir / _REMEMBERED).unlink(missing_ok=True)


def google_settings(
    options: Mapping[str, Any], environ: Mapping[str, str]
) -> GoogleSettings | None:
    """Return where on Google Cloud the farm is, or None if no project is named anywhere.

    Raises:
        ConfigError: a key is unknown or a value is wrong.
    """
    settings = load(GoogleSettings, options, environ).settings
    return settings if settings.project else None


def state_bucket(project: str, farm: str) -> str:
    """Return the name of the bucket with a farm's state."""
    return f"{project}-{farm}-state"


def mistakes(farm: GoogleFarm) -> list[str]:
    """Return what keeps a farm from being made on Google Cloud, each with its key."""
    found = []
    if not farm.project:
        found.append("google.project: is missing")
    if not farm.zone:
        found.append("google.zone: is missing, such as europe-west4-a")
    found += name_mistakes(farm.project, farm.name)
    url = farm.settings.storage_url
    if url not in (None, f"gs://{farm.data_bucket}"):
        found.append(f"farm.storage_url: the farm has a bucket of its own, not {url}")
    found += values_mistakes(farm.google)
    found += pool_mistakes(farm.settings.pools, region=farm.region, farm=farm.name)
    return found


def name_mistakes(project: str, farm: str) -> list[str]:
    """Return what keeps a farm from having this name, each with its key."""
    found = []
    if len(farm) > LONGEST_NAME:
        found.append(f"cluster.farm: {farm} is longer than {LONGEST_NAME} characters")
    bucket = state_bucket(project, farm)
    if len(bucket) > _LONGEST_BUCKET or "google" in bucket:
        found.append(f"cluster.farm: {bucket} is no name for a bucket")
    return found


def values_mistakes(google: GoogleSettings) -> list[str]:
    """Return what of ``[google]`` Google Cloud would refuse, each with its key."""
    return [
        *system_machine_mistakes(google.system_machine),
        *range_mistakes(google.ranges),
        *(["google.labels: burst-farm is set by burst"] if _FARM_LABEL in google.labels else []),
    ]


def to_json(farm: GoogleFarm) -> bytes:
    """Return the settings as they lie in the state bucket: what differs from the defaults."""
    cluster = farm.settings.cluster.model_dump(
        mode="json", exclude_defaults=True, exclude={"kubeconfig", "context"}
    )
    told = {
        "format": FORMAT,
        "burst": __version__,
        "google": farm.google.model_dump(
            mode="json", exclude_defaults=True, exclude={"terraform", "tools_mirror"}
        ),
        "cluster": {**cluster, "farm": farm.name},
        "images": farm.images.model_dump(mode="json", exclude_defaults=True),
        "pools": {
            name: pool.model_dump(mode="json", exclude_defaults=True)
            for name, pool in farm.settings.pools.items()
        },
    }
    return (json.dumps(told, indent=2) + "\n").encode()


def check_format(content: bytes) -> None:
    """Refuse settings that a newer burst wrote in a way of its own; what can't be read is not.

    Raises:
        ConfigError: they are such ones.
    """
    try:
        told = json.loads(content)
        is_newer, version = int(told["format"]) > FORMAT, str(told["burst"])
    except (ValueError, KeyError, TypeError):
        return
    if is_newer:
        raise ConfigError(
            f"the farm was made by burst {version}, this is {__version__}",
            hint="install that version, or a newer one",
        )


def from_json(content: bytes, here: GoogleFarm) -> GoogleFarm:
    """Return a farm as it was last made, as `to_json` wrote it.

    Args:
        content: of the file.
        here: the settings of this machine, of which its folders and programs stay.

    Raises:
        ConfigError: another version of burst wrote it, in a way that this one can't read.
    """
    check_format(content)
    try:
        told: dict[str, Any] = json.loads(content)
        own = {"terraform": here.google.terraform, "tools_mirror": here.google.tools_mirror}
        settings = here.settings.model_copy(
            update={
                "cluster": ClusterSettings.model_validate(told["cluster"]),
                "pools": {
                    name: PoolSettings.model_validate(pool) for name, pool in told["pools"].items()
                },
            }
        )
        return GoogleFarm(
            settings,
            GoogleSettings.model_validate({**told["google"], **own}),
            ImageSettings.model_validate(told["images"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = explain(error) if isinstance(error, ValidationError) else str(error)
        raise ConfigError(
            f"{SETTINGS_FILE} in the state bucket can't be read: {why}",
            hint="use the burst that made the farm, or run burst up with its burst.toml",
        ) from error
