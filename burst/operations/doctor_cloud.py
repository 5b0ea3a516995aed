"""Everything that a farm on Google Cloud needs, looked at before it costs something.

The checks go on side by side, each fails alone, and none is waited for longer than `PATIENCE`. What
needs a login is not tried without one: that would say the same ten times.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from burst.cloud.google_api import GoogleApi
from burst.cloud.state_bucket import Wanted, judge
from burst.domain.cloud_needs import APIS, FIRST_APIS, PERMISSIONS, roles_for
from burst.domain.costs import FarmShape
from burst.errors import (
    ApiDisabled,
    BurstError,
    CloudAway,
    CloudConflict,
    CloudDenied,
    CloudError,
    CloudNotFound,
    LoginNeeded,
)
from burst.operations.doctor import Finding, Verdict
from burst.operations.doctor_quotas import examine_machines
from burst.threads import start

PATIENCE = 45.0
"""Seconds that a check may take."""

_TRIES, _READ_SECONDS = 3, 15.0
_SKEW_SECONDS, _WORST_SKEW_SECONDS = 30.0, 300.0
"""Google takes a signature that is five minutes off no more."""
_PERMISSIONS_AT_ONCE = 100

_STRANGE = re.compile(r"[Pp]ermission '?([\w.]+?)'?\.? is not valid")

Check = Callable[[], list[Finding]]


@dataclass(frozen=True, slots=True)
class CloudPlan:
    """The farm that is wanted, as far as it has to be known for the checks."""

    project: str
    farm: str
    shape: FarmShape
    buckets: tuple[str, ...]
    """Names of the state bucket and the data bucket."""
    zones: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Worker pool → its zones, where they are others than the farm's."""


def examine_cloud(
    plan: CloudPlan,
    environ: Mapping[str, str] = os.environ,
    *,
    patience: float = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """Look at all of it; blocks for seconds, and never for longer than twice ``patience``.

    Args:
        plan: what is wanted.
        environ: may name other endpoints, and hold a token.
        patience: seconds that a check may take.
        pause: waits between two tries.
    """
    api = GoogleApi(
        environ, project=plan.project, tries=_TRIES, read_seconds=_READ_SECONDS, pause=pause
    )
    first = _side_by_side(
        {"clock": lambda: _clock(api), "login": lambda: _login(api, plan)}, patience
    )
    if any(finding.subject in ("login", "project") for finding in _bad(first)):
        return first
    return first + _side_by_side(
        {
            "billing": lambda: _billing(api, plan),
            "APIs": lambda: _apis(api, plan),
            "permissions": lambda: _permissions(api, plan),
            "quotas": lambda: examine_machines(api, plan.project, plan.shape, plan.zones),
            "buckets": lambda: _buckets(api, plan),
        },
        patience,
    )


def enable_apis(api: GoogleApi, project: str, services: Sequence[str]) -> None:
    """Switch APIs on, and wait for it.

    Raises:
        CloudError: this login may not, or nobody pays for the project.
    """
    what = "can't enable APIs"
    # One request takes twenty at most.
    for i in range(0, len(services), 20):
        body = {"serviceIds": list(services[i : i + 20])}
        path = f"projects/{project}/services:batchEnable"
        operation = api.post("SERVICE_USAGE", path, body, what=what)
        api.wait("SERVICE_USAGE", operation, what=what)


def missing_apis(api: GoogleApi, project: str) -> list[str]:
    """Return the APIs that a farm needs and that are not enabled.

    Raises:
        CloudError: they can't be listed.
    """
    query = {"filter": "state:ENABLED", "pageSize": "200"}
    path, what = f"projects/{project}/services", "can't list the APIs"
    enabled = {
        str(one["name"]).rpartition("/")[2]
        for page in api.pages("SERVICE_USAGE", path, query, what=what)
        for one in page.get("services") or []
    }
    # The one that was just asked is on, whatever the list says.
    return [one for one in APIS if one not in enabled and one != FIRST_APIS[0]]


def _side_by_side(checks: Mapping[str, Check], patience: float) -> list[Finding]:
    """Return what the checks find, in their order; one that fails or hangs is a finding itself."""
    started = {subject: start(check, f"doctor {subject}") for subject, check in checks.items()}
    ends = time.monotonic() + patience
    findings: list[Finding] = []
    for subject, future in started.items():
        findings += _result(subject, future, max(0.0, ends - time.monotonic()), patience)
    return findings


def _result(
    subject: str, future: Future[list[Finding]], left: float, patience: float
) -> list[Finding]:
    try:
        return future.result(left)
    except TimeoutError:
        text = f"no answer in {patience:.0f} seconds"
        return [Finding(subject, "bad", text, "look at the network, and at HTTPS_PROXY")]
    except ApiDisabled as error:
        # What Terraform switches on by itself prevents nothing.
        verdict: Verdict = "bad" if error.service in FIRST_APIS else "warning"
        return [Finding(subject, verdict, error.message, error.hint)]
    except BurstError as error:
        return [Finding(subject, "bad", error.message, error.hint)]


def _bad(findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if one.verdict == "bad"]


def _clock(api: GoogleApi) -> list[Finding]:
    before = datetime.now(UTC)
    try:
        there = api.clock()
    except CloudAway as error:
        # Whether that prevents anything is seen by the login.
        return [Finding("clock", "warning", error.message, error.hint)]
    # Its answer has no fractions, and took a while.
    behind = (there - before).total_seconds()
    ahead = (datetime.now(UTC) - there).total_seconds()
    skew = max(behind, ahead)
    if skew < _SKEW_SECONDS:
        return [Finding("clock", "good", "within seconds of Google's")]
    which = "behind" if behind > ahead else "ahead of"
    verdict: Verdict = "bad" if skew > _WORST_SKEW_SECONDS else "warning"
    text = f"{skew:.0f} seconds {which} Google's: logins are refused by a wrong clock"
    return [Finding("clock", verdict, text, "set it: sudo timedatectl set-ntp true")]


def _login(api: GoogleApi, plan: CloudPlan) -> list[Finding]:
    """Look at login and project by the one request that needs both and nothing else."""
    try:
        project = api.get(
            "RESOURCE_MANAGER", f"projects/{plan.project}", what=f"the project {plan.project}"
        )
    except LoginNeeded as error:
        return [Finding("login", "bad", error.message, error.hint)]
    except ApiDisabled as error:
        return [_who(api), Finding("project", "bad", error.message, error.hint)]
    except (CloudDenied, CloudNotFound):
        text = f"there is no project {plan.project}, or this login may not see it"
        return [_who(api), Finding("project", "bad", text, "see yours: gcloud projects list")]
    state = project.get("lifecycleState", "ACTIVE")
    if state != "ACTIVE":
        text = f"the project {plan.project} is being deleted"
        hint = f"gcloud projects undelete {plan.project}"
        return [_who(api), Finding("project", "bad", text, hint)]
    number = project.get("projectNumber", "")
    return [_who(api), Finding("project", "good", f"{plan.project} (number {number})")]


def _who(api: GoogleApi) -> Finding:
    return Finding("login", "good", api.account() or "there is one, and it is taken")


def _billing(api: GoogleApi, plan: CloudPlan) -> list[Finding]:
    path = f"projects/{plan.project}/billingInfo"
    try:
        told = api.get("CLOUD_BILLING", path, what="can't see who pays for the project")
    except CloudDenied as error:
        # Who may make a farm may well not see the bill.
        return [Finding("billing", "warning", error.message, error.hint)]
    if told.get("billingEnabled"):
        account = str(told.get("billingAccountName", "")).rpartition("/")[2]
        return [Finding("billing", "good", f"on (account {account})" if account else "on")]
    return [
        Finding(
            "billing",
            "bad",
            f"no billing account pays for the project {plan.project}",
            f"gcloud billing projects link {plan.project} --billing-account=ACCOUNT; "
            "yours: gcloud billing accounts list",
        )
    ]


def _apis(api: GoogleApi, plan: CloudPlan) -> list[Finding]:
    missing = missing_apis(api, plan.project)
    if not missing:
        return [Finding("APIs", "good", f"all {len(APIS)} are enabled")]
    names = " ".join(missing)
    hint = f"gcloud services enable {names} --project={plan.project}; or let burst up do it"
    verdict: Verdict = "bad" if set(missing) & set(FIRST_APIS) else "warning"
    return [Finding("APIs", verdict, f"not enabled: {', '.join(missing)}", hint)]


def _permissions(api: GoogleApi, plan: CloudPlan) -> list[Finding]:
    granted, strange = _granted(api, plan.project)
    missing = [one for one in PERMISSIONS if one not in granted | strange]
    if not missing:
        return [Finding("permissions", "good", f"all {len(PERMISSIONS)} that a farm needs")]
    shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if missing[6:] else "")
    member = api.account() or "YOU"
    kind = "serviceAccount" if member.endswith(".gserviceaccount.com") else "user"
    grant = f"gcloud projects add-iam-policy-binding {plan.project} --member={kind}:{member}"
    hint = "; ".join(f"{grant} --role={role}" for role in roles_for(missing))
    text = f"this login lacks {len(missing)} of {len(PERMISSIONS)}: {shown}"
    return [Finding("permissions", "bad", text, f"an owner types: {hint}")]


def _granted(api: GoogleApi, project: str) -> tuple[set[str], set[str]]:
    """Return the permissions that this login has, and those that Google does not tell of.

    Raises:
        CloudError: Google tells of none.
    """
    path, what = f"projects/{project}:testIamPermissions", "can't see what this login may"
    granted, strange = set[str](), set[str]()
    for i in range(0, len(PERMISSIONS), _PERMISSIONS_AT_ONCE):
        asked = list(PERMISSIONS[i : i + _PERMISSIONS_AT_ONCE])
        while asked:
            try:
                told = api.post("RESOURCE_MANAGER", path, {"permissions": asked}, what=what)
            except CloudError as error:
                # One that is not for projects, or not any more, spoils the answer on all others.
                found = _STRANGE.search(error.message)
                if found is None or found[1] not in asked:
                    raise
                asked.remove(found[1])
                strange.add(found[1])
            else:
                granted.update(told.get("permissions") or [])
                break
    return granted, strange


def _buckets(api: GoogleApi, plan: CloudPlan) -> list[Finding]:
    number = str(api.get("RESOURCE_MANAGER", f"projects/{plan.project}").get("projectNumber", ""))
    return [_bucket(api, plan, name, number) for name in plan.buckets]


def _bucket(api: GoogleApi, plan: CloudPlan, name: str, number: str) -> Finding:
    wanted = Wanted(name, plan.project, plan.shape.region, plan.farm, {})
    try:
        found = api.get("STORAGE", f"b/{name}", {"projection": "noAcl"})
        judge(found, wanted, number)
    except CloudNotFound:
        return Finding("bucket", "good", f"the name {name} is free")
    except CloudDenied:
        text = f"the bucket {name} is somebody else's, or this login may not see it"
        return Finding("bucket", "bad", text, "give the farm another name in burst.toml")
    except (CloudConflict, CloudError) as error:
        return Finding("bucket", "bad", error.message, error.hint)
    return Finding("bucket", "good", f"{name} is the farm's own")
