"""``burst cost``: what the farm on Google Cloud costs, may cost, and what its last job came to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burst.cli import console, options, words
from burst.errors import UsageError

if TYPE_CHECKING:
    from burst.operations.cost import FarmCost

_CURRENCY = re.compile("[A-Za-z]{3}")

Currency = Annotated[
    str, typer.Option("--currency", metavar="CODE", help="Such as EUR; Google converts.")
]


def cost(
    project: options.Project = None,
    farm: options.FarmName = None,
    currency: Currency = "USD",
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Show what the farm on Google Cloud costs now, what it may, and what bills when it is gone.

    Prices are Google's list prices; what it does not say is unknown. On another machine project
    and name are enough.
    """
    from datetime import UTC, datetime

    from burst.cli.google import google_farm
    from burst.cli.price_table import terminal_width
    from burst.config.farm import default_cache_dir
    from burst.operations.cost import ask_cost
    from burst.operations.google_farm import open_site

    if not _CURRENCY.fullmatch(currency):
        raise UsageError(
            f"{currency!r} is no currency", hint="a code of three letters, such as EUR"
        )
    found = google_farm(state_dir, project, farm=farm)
    if found is None:
        raise UsageError(
            "no farm on Google Cloud is set up, and others cost nothing there",
            hint="name its project: --project ID, or set one up: burst init, then burst up",
        )
    costs = ask_cost(
        open_site(found),
        default_cache_dir(),
        datetime.now(UTC),
        currency=currency.upper(),
    )
    if json:
        console.emit(cost_json(costs))
    else:
        console.say(cost_text(costs, terminal_width()))


def cost_text(cost: FarmCost, width: int) -> str:
    """Return what a farm costs, for people.

    Args:
        cost: what was found out.
        width: columns of the terminal.
    """
    from burst.cli.price_table import amount_words, price_text

    lines = [
        f"farm:     {cost.place.farm}, in {cost.place.shape.zone} of {cost.place.project}",
        f"cluster:  {_state(cost)}",
        f"now:      {amount_words(cost.now, 3, 'hour')}{_besides(cost)}",
    ]
    if cost.job is not None:
        job = cost.job.job
        took = words.duration(sum(cost.job.seconds.values()))
        spent = amount_words(cost.job_cost, 2)
        lines.append(f"last job: {job.name} ({job.id}): {spent}, for {took} of workers")
    lines += [f"trouble:  {trouble}" for trouble in cost.found.troubles]
    return "\n".join([*lines, "", price_text(cost.costs, cost.table, width)])


def cost_json(cost: FarmCost) -> dict[str, Any]:
    """Return the same for programs."""
    from burst.cli.price_table import amount_json, price_json

    job = None
    if cost.job is not None:
        job = {
            "id": cost.job.job.id,
            "name": cost.job.job.name,
            "worker_seconds": dict(cost.job.seconds),
            "cost": amount_json(cost.job_cost),
        }
    return {
        "farm": cost.place.farm,
        "project": cost.place.project,
        "zone": cost.place.shape.zone,
        "up": cost.found.is_up,
        "nodes": dict(cost.found.nodes),
        "troubles": list(cost.found.troubles),
        "hour_now": amount_json(cost.now),
        "last_job": job,
        **price_json(cost.costs, cost.table),
    }


def _state(cost: FarmCost) -> str:
    from burst.domain.costs import SYSTEM_POOL

    if cost.found.is_up is None:
        return "unknown"
    if not cost.found.is_up:
        return "not there"
    nodes = cost.found.nodes
    settled = [pool.name for pool in cost.found.shape.pools]
    others = sorted(set(nodes) - {*settled, SYSTEM_POOL})
    pools = [
        f"{words.count(many, 'node')} of {pool or 'no pool'}"
        for pool in (*settled, *others)
        if (many := nodes.get(pool, 0))
    ]
    return f"up, {', '.join(pools) or 'no nodes of pools'}"


def _besides(cost: FarmCost) -> str:
    """Return what is unknown of the present, and is no part of the estimate below it."""
    more = [what for what in cost.now.unknown if what not in cost.costs.hour_full.unknown]
    return f" (unknown: {', '.join(more)})" if cost.found.is_up and more else ""
