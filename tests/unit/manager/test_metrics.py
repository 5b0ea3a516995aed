"""The figures for Prometheus: read from the index at the moment they are asked for."""

from __future__ import annotations

from manager_kit import Manager, asynchronous, ended

from burst.manager.index import Index
from burst.manager.metrics import create_metrics


@asynchronous
async def test_figures_follow_the_farm(manager: Manager) -> None:
    metrics = create_metrics(manager.farm)

    def figure(name: str, **labels: str) -> float | None:
        return metrics.get_sample_value(name, labels)

    assert figure("burst_jobs", status="queued") == 0
    await manager.submit("1-3")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    task = await worker.take()
    assert figure("burst_jobs", status="active") == 1
    assert figure("burst_tasks", status="completed") == 1
    assert figure("burst_tasks", status="active") == 1
    assert figure("burst_tasks", status="queued") == 1
    assert figure("burst_workers", status="busy") == 1
    assert figure("burst_frames_published_total") == 1
    await worker.beat(ended(task))
    assert figure("burst_attempts_failed_total") == 1
    await worker.take()
    await worker.sign_off()
    assert figure("burst_attempts_interrupted_total") == 1
    assert figure("burst_workers", status="busy") == 0
    assert figure("burst_database_commits_total") == manager.database.commits > 0
    assert figure("burst_database_requests_total") == manager.database.requests > 0


@asynchronous
async def test_figures_are_of_the_index_that_is_in_use(manager: Manager) -> None:
    metrics = create_metrics(manager.farm)
    await manager.submit("1-3")
    assert metrics.get_sample_value("burst_jobs", {"status": "queued"}) == 1
    # As after a commit that failed.
    manager.farm.index = Index()
    assert metrics.get_sample_value("burst_jobs", {"status": "queued"}) == 0
