"""A manager's deciding parts on a temporary folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from manager_kit import Manager
from prometheus_client import CollectorRegistry

from burst.manager.api.apps import Parts
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.processes import ProcessProvider

if TYPE_CHECKING:
    from worlds import ClusterWorld, MachineWorld


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def parts(manager: Manager) -> Parts:
    provider = ProcessProvider(manager.folder / "workers", manager.folder / "logs", {}, 1)
    return Parts(
        farm=manager.farm,
        scheduler=manager.scheduler,
        queue=manager.queue,
        autoscaler=Autoscaler(manager.farm, manager.scheduler, provider),
        provider=provider,
        metrics=CollectorRegistry(),
    )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MachineWorld]:
    # Here, for Kubernetes' client takes long to load.
    from worlds import SCRIPT, MachineWorld

    script = tmp_path / "program"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    world = MachineWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterWorld]:
    from worlds import ClusterWorld

    from burst.manager.autoscaler import kubernetes, mirror, volley

    monkeypatch.setattr(volley, "TRY_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(kubernetes, "EVENTS_SECONDS", 0.0)
    monkeypatch.setattr(mirror, "PAUSE_SECONDS", 0.01)
    world = ClusterWorld()
    yield world
    world.close()
