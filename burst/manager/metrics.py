"""Figures for Prometheus, read from the index at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from burst.domain.transitions import JobStatus, TaskStatus, WorkerStatus
from burst.manager import registry
from burst.manager.farm import Farm


def create_metrics(farm: Farm) -> CollectorRegistry:
    """Return the registry with the farm's figures."""
    metrics = CollectorRegistry()
    metrics.register(_FarmCollector(farm))
    return metrics


class _FarmCollector(Collector):
    def __init__(self, farm: Farm) -> None:
        self._farm = farm

    def collect(self) -> Iterator[Metric]:
        jobs = list(self._farm.index.jobs.values())
        workers = list(self._farm.index.workers.values())
        yield _gauge(
            "burst_jobs", "Jobs by status", {s: sum(j.status is s for j in jobs) for s in JobStatus}
        )
        yield _gauge(
            "burst_tasks",
            "Tasks by status",
            {s: sum(j.board.count(s) for j in jobs) for s in TaskStatus},
        )
        yield _gauge(
            "burst_workers",
            "Workers by status",
            {s: sum(registry.status_of(w) is s for w in workers) for s in WorkerStatus},
        )
        yield CounterMetricFamily(
            "burst_frames_published",
            "Frames published, of jobs that are not deleted",
            sum(job.published for job in jobs),
        )
        yield CounterMetricFamily(
            "burst_attempts_failed", "Failed attempts", sum(job.retries for job in jobs)
        )
        yield CounterMetricFamily(
            "burst_attempts_interrupted",
            "Attempts that were interrupted or lost",
            sum(job.interruptions for job in jobs),
        )
        database = self._farm.database
        yield CounterMetricFamily("burst_database_commits", "Commits", database.commits)
        yield CounterMetricFamily(
            "burst_database_requests", "Requests that commits were made for", database.requests
        )


def _gauge(
    name: str, text: str, values: dict[JobStatus | TaskStatus | WorkerStatus, int]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["status"])
    for status, value in values.items():
        family.add_metric([status.value], value)
    return family
