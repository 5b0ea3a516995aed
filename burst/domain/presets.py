"""Worker pools under a name: machines that were chosen for rendering, and why.

A family whose figures are measured, of a size that spot has often: shapes of more than 32 cores
run out first, and small machines are taken back less. Spot throughout, as a frame that is cut
short is rendered again.
"""

from __future__ import annotations

from dataclasses import dataclass

from burst.domain.machines import machine_type


@dataclass(frozen=True, slots=True)
class Preset:
    """A worker pool that somebody thought about."""

    name: str
    machine: str
    maximum: int
    reason: str
    """One sentence for who chooses."""
    spot: bool = True
    disk_gib: int = 100
    disk_type: str = "pd-balanced"

    @property
    def title(self) -> str:
        """Return what it is in a few words."""
        machine = machine_type(self.machine)
        gpus = f", {machine.gpus} {machine.gpu}" if machine.gpus else ""
        how = "spot" if self.spot else "on demand"
        return f"{machine.vcpus} cores, {machine.memory_gib:g} GiB{gpus}, {how}"


_ALL = (
    Preset(
        "cpu-small", "n2d-standard-8", 20, "most scenes: cheap cores, and many machines to have"
    ),
    Preset("cpu-large", "n2d-standard-32", 10, "heavy frames: four times as fast, 128 GiB"),
    Preset("cpu-memory", "n2d-highmem-16", 10, "scenes that need much memory: 8 GiB a core"),
    Preset(
        "cpu-steady",
        "n2d-standard-8",
        10,
        "frames of hours: machines nobody takes back",
        spot=False,
    ),
    Preset("gpu-l4", "g2-standard-8", 8, "Cycles on OptiX: one L4 with 24 GB a machine"),
    Preset("gpu-l4-large", "g2-standard-16", 8, "the same beside 64 GiB for large scenes"),
)

PRESETS = {preset.name: preset for preset in _ALL}
"""By name, the usual one first."""

USUAL = "cpu-small"
"""What a farm gets that says nothing of pools."""
