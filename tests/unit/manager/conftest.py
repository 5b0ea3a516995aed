"""A manager's deciding parts on a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from manager_kit import Manager
from prometheus_client import CollectorRegistry

from burst.manager.api.apps import Parts
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.processes import ProcessProvider


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
