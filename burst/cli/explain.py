"""``burst explain``: why a job is where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burst.cli import console, options
from burst.cli.settings import farm_settings

if TYPE_CHECKING:
    from burst.protocol.artist_messages import Explanation, JobView
    from burst.protocol.client import ManagerClient


def explain(
    job: options.Job,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Say why a job waits, or who renders it, most important first."""
    from burst.operations.jobs import ask_farm, find_job

    def ask(_: object, client: ManagerClient) -> tuple[JobView, Explanation]:
        found = find_job(client, job)
        return found, client.explain(found.id)

    found, explanation = ask_farm(farm_settings(state_dir, local=local), console.tell, ask)
    if json:
        console.emit(explanation.model_dump(mode="json"))
        return
    if not explanation.reasons:
        console.tell(f"job {found.id} is {found.status}, and nothing holds it up")
    width = max((len(reason.subject) for reason in explanation.reasons), default=0)
    for reason in explanation.reasons:
        console.say(f"{reason.subject:<{width}}  {reason.text}")
