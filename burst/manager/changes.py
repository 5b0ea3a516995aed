"""What a decision wants written and told: collected first, written once."""

from __future__ import annotations

from dataclasses import dataclass, field

from burst.manager.database.statements import Statement


@dataclass(slots=True)
class Changes:
    """The outcome of one decision on the index."""

    statements: list[Statement] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    """Jobs whose view changed."""
    attempts_ended: list[tuple[str, str]] = field(default_factory=list)
    """(job, attempt) whose unpublished uploads are to be deleted."""
    frames_published: list[tuple[str, int]] = field(default_factory=list)
    """(job, frame) that became visible."""
    workers: set[str] = field(default_factory=set)
    """Workers whose view changed, or that have gone."""
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    """(job, level, text) for the job's log."""
    ready_tasks: int = 0
    """Tasks that became ready: so many waiting workers are woken."""
    wake_workers: set[str] = field(default_factory=set)
    """Workers whose open claim is answered at once, for there is an order for them."""

    def write(self, *statements: Statement) -> None:
        """Add statements to the commit."""
        self.statements.extend(statements)
