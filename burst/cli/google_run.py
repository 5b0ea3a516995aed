"""``burst up``, ``down`` and ``status`` of a farm on Google Cloud: what is shown, and asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from burst.cli import console, words
from burst.cli.terraform_progress import change_lines, terraform_progress
from burst.errors import EXIT_FAILURE, BurstError, UsageError

if TYPE_CHECKING:
    from burst.cli.terraform_progress import TerraformProgress
    from burst.config.google import GoogleFarm
    from burst.operations.google_farm import Site
    from burst.operations.provision import Proposal, Provisioned, Talk


def need_terminal(*, yes: bool, what: str) -> None:
    """Refuse at once what could not be asked later.

    Raises:
        UsageError: there is no terminal, and ``--yes`` was not given.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError(
            f"{what} asks before it does anything, and there is no terminal to ask on",
            hint="give --yes to do it unasked, or --plan to look first"
            if what == "burst up"
            else "give --yes to do it unasked",
        )


def show_plan(site: Site, *, json: bool) -> None:
    """Show what ``burst up`` would do, and do nothing."""
    from burst.cli.price_table import price_json, price_text, terminal_width
    from burst.operations.provision import propose

    with terraform_progress() as progress:
        proposal = propose(site, _talk(site.farm, progress, yes=True))
    if json:
        changes = [
            {"address": one.address, "type": one.type, "action": one.action}
            for one in proposal.changes
        ]
        drift = [{"address": one.address, "action": one.action} for one in proposal.drift]
        costs = price_json(proposal.costs, proposal.prices)
        console.emit({"changes": changes, "drift": drift, "costs": costs})
        return
    for line in change_lines(proposal.changes, proposal.drift) or ["nothing is to be changed"]:
        console.say(line)
    console.say()
    console.say(price_text(proposal.costs, proposal.prices, terminal_width()))


def up_google(site: Site, *, yes: bool, cluster_only: bool, with_images: bool, json: bool) -> None:
    """Make the farm, or bring it up to date, and say where it is."""
    from burst.config.google import remember
    from burst.operations.provision import provision

    farm = site.farm
    with terraform_progress() as progress:
        done = provision(
            site,
            _talk(farm, progress, yes=yes),
            cluster_only=cluster_only,
            with_images=with_images,
        )
    remember(farm.settings.state_dir, farm.project, farm.name)
    if json:
        console.emit(_up_json(farm, done))
        return
    if not done.changed:
        console.tell("the cluster is as it should be: nothing was changed")
    if done.deployment is None:
        console.tell(f"the cluster {farm.name} is up, in {farm.zone} of {farm.project}")
        console.tell("  put the farm on it: burst up")
        return
    for trouble in done.troubles:
        console.tell(f"note: {trouble}")
    console.tell(f"the farm {farm.name} is up, in {farm.zone} of {farm.project}")
    console.tell("  render on it:   burst render SCENE.blend")
    console.tell("  look at it:     burst console")
    console.tell("  what it costs:  burst cost")
    console.tell("  end it:         burst down")


def down_google(site: Site, *, yes: bool, everything: bool, typed: str | None, json: bool) -> None:
    """Take the farm away, and prove that nothing is left.

    Args:
        site: of the farm.
        yes: do not ask.
        everything: with scenes, frames and state.
        typed: the farm's name, if it was on the command line.
        json: print one JSON value.
    """
    from burst.cli.progress import after_a_while
    from burst.config.google import forget
    from burst.operations.unprovision import look_at_loss, take_down_google

    farm = site.farm
    with after_a_while("asking what would be lost"):
        loss = look_at_loss(site, everything=everything)
    for line in loss.lines():
        console.tell(line)
    _agree_to_loss(farm, yes=yes, everything=everything, typed=typed)
    with terraform_progress() as progress:
        removal = take_down_google(
            site, everything=everything, tell=console.tell, hear=progress.hear
        )
    leftovers = removal.leftovers
    if leftovers.is_zero:
        forget(farm.settings.state_dir)
    if json:
        console.emit(
            {
                "removed": list(removal.releases),
                "destroyed": removal.destroyed,
                **leftovers.as_json(),
            }
        )
    else:
        for line in leftovers.lines():
            console.say(line)
    if not leftovers.is_zero:
        raise typer.Exit(EXIT_FAILURE)


def status_google(site: Site, *, json: bool) -> dict[str, Any]:
    """Show cluster, pools, nodes and what they cost; return it for programs."""
    from datetime import UTC, datetime

    from burst.cli.price_table import amount_json, amount_words
    from burst.cloud.billing import prices
    from burst.config.farm import default_cache_dir
    from burst.operations.cost import farm_cost, look, place_of

    farm = site.farm
    place = place_of(farm)
    found = look(site.api, place)
    cost = farm_cost(place, found, prices(site.for_prices, default_cache_dir(), datetime.now(UTC)))
    state = {True: "up", False: "not there", None: "unknown"}[found.is_up]
    nodes = {name: found.nodes.get(name, 0) for name in farm.settings.pools}
    if json:
        return {
            "farm": farm.name,
            "project": farm.project,
            "zone": farm.zone,
            "cluster": state,
            "nodes": nodes,
            "hour_now": amount_json(cost.now),
            "month_zero": amount_json(cost.costs.month_zero),
            "troubles": list(found.troubles),
        }
    console.say(f"farm:     {farm.name}, in {farm.zone} of {farm.project}")
    console.say(f"cluster:  {state}")
    for name, pool in farm.settings.pools.items():
        kind = f"{pool.machine}{' on spot' if pool.spot else ''}"
        console.say(f"nodes:    {nodes[name]} of at most {pool.maximum} in {name} ({kind})")
    console.say(f"now:      {amount_words(cost.now, 3, 'hour')}")
    console.say(f"at zero:  {amount_words(cost.costs.month_zero, 2, 'month')}, for what is stored")
    for trouble in found.troubles:
        console.say(f"trouble:  {trouble}")
    return {}


def _talk(farm: GoogleFarm, progress: TerraformProgress, *, yes: bool) -> Talk:
    from burst.config.google import remember
    from burst.operations.provision import Talk

    def agree(proposal: Proposal) -> None:
        progress.clear()
        _show(proposal)
        if proposal.changes:
            console.confirm(_question(farm, proposal), yes=yes)
        # From here on there is something that burst down may have to find.
        remember(farm.settings.state_dir, farm.project, farm.name)
        progress.expect(len(proposal.changes), proposal.takes)

    def allow(question: str) -> None:
        progress.clear()
        console.confirm(question, yes=yes)

    def tell(text: str) -> None:
        progress.clear()
        console.tell(text)

    return Talk(tell, progress.hear, agree, allow)


def _question(farm: GoogleFarm, proposal: Proposal) -> str:
    is_new = any(
        (one.type, one.action) == ("google_container_cluster", "create") for one in proposal.changes
    )
    return f"{'Make' if is_new else 'Change'} the farm {farm.name} in {farm.project}?"


def _show(proposal: Proposal) -> None:
    from burst.cli.price_table import price_text, terminal_width

    for line in change_lines(proposal.changes, proposal.drift):
        console.tell(line)
    console.tell()
    console.tell(price_text(proposal.costs, proposal.prices, terminal_width()))
    if proposal.takes is not None:
        longer = ", and more for what was never made before" if proposal.takes.unknown else ""
        console.tell(f"it takes about {words.duration(proposal.takes.seconds)}{longer}")


def _agree_to_loss(farm: GoogleFarm, *, yes: bool, everything: bool, typed: str | None) -> None:
    if not everything:
        console.confirm(f"Take down the farm {farm.name} in {farm.project}?", yes=yes)
        return
    if typed == farm.name and yes:
        return
    if yes or not sys.stdin.isatty():
        raise UsageError(
            "--all deletes scenes and frames for good, and wants the farm's name typed",
            hint=f"type it: --all --yes --farm {farm.name}",
        )
    sys.stderr.write(f"Type the farm's name to delete all of it, {farm.data_bucket} as well: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != farm.name:
        raise BurstError("nothing was done: that is not its name")


def _up_json(farm: GoogleFarm, done: Provisioned) -> dict[str, Any]:
    deployment = done.deployment
    return {
        "farm": farm.name,
        "project": farm.project,
        "zone": farm.zone,
        "cluster": done.cluster,
        "changed": list(done.changed),
        "releases": [
            {"name": one.name, "change": one.change, "revision": one.revision}
            for one in (deployment.releases if deployment else ())
        ],
        "removed_pools": list(deployment.removed) if deployment else [],
        "troubles": list(done.troubles),
    }
