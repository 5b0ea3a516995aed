"""The checks of `burst doctor` for the farm on Google Cloud that burst.toml has; its leftovers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from burst.cloud.inventory import take_inventory
from burst.cloud.terraform_state import known_names
from burst.config.google import GoogleFarm, mistakes
from burst.operations.doctor import Finding
from burst.operations.doctor_cloud import CloudPlan, examine_cloud
from burst.operations.google_farm import ROOTS, Site, has_state
from burst.operations.leftovers import Leftovers, find_leftovers
from burst.operations.tfvars import farm_shape


def examine_farm(farm: GoogleFarm, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Look at everything that a farm needs there, if its settings say where; blocks for seconds."""
    found = mistakes(farm)
    if found:
        return [Finding("burst.toml", "bad", text, "mend it: burst init") for text in found]
    plan = CloudPlan(
        project=farm.project,
        farm=farm.name,
        shape=farm_shape(farm),
        buckets=(farm.state_bucket, farm.data_bucket),
        zones={name: pool.zones for name, pool in farm.settings.pools.items()},
    )
    return examine_cloud(plan, environ)


def for_the_cloud(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings of this machine as they count where others render: no Blender is no harm."""
    return [
        replace(one, verdict="warning")
        if one.verdict == "bad" and (one.subject == "blender" or one.blender)
        else one
        for one in findings
    ]


def look_for_leftovers(site: Site) -> Leftovers:
    """Return what there is of a farm that neither Terraform nor its cluster knows of.

    Raises:
        BurstError: its state can't be read.
    """
    farm = site.farm
    expected: frozenset[str] = frozenset()
    if has_state(site):
        for root in ROOTS:
            expected |= known_names(site.bucket.read(f"{root}/default.tfstate"))
    inventory = take_inventory(site.api, farm.project, farm.region, farm.name)
    kept = {farm.state_bucket, farm.data_bucket}
    return find_leftovers(inventory, kept=kept, expected=expected - kept)
