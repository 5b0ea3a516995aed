"""How tests are shared out to processes: one by one, but those of a cluster all to the same.

pytest 9.2 takes no notice of the names by which pytest-xdist 3.8 marks tests of a group, so that
groups are made here. pytest-xdist puts back all that a crashed process had, what is done and the
test that it crashed in, too. Whoever is then given only what is done never says that it is: the
run waits for ever.
"""

from __future__ import annotations

from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

TOGETHER = ("tests/kubernetes/",)
"""Folders whose tests share what takes long to make."""


class CrashProof(LoadGroupScheduling):
    """Gives others what a crashed process has not begun."""

    def _split_scope(self, nodeid: str) -> str:
        """Return which tests one process has all of; the largest such group is begun first."""
        for folder in TOGETHER:
            if nodeid.startswith(folder):
                return folder
        return super()._split_scope(nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a process out, and return the test in which it crashed, if any."""
        work = self.assigned_work.pop(node)
        begun = [test for unit in work.values() for test, is_done in unit.items() if not is_done]
        if not begun:
            return None
        crashed = begun[0]
        for group, unit in work.items():
            left = {test: is_done for test, is_done in unit.items() if test != crashed}
            if not all(left.values()):
                self.workqueue[group] = left
        for other in self.assigned_work:
            self._reschedule(other)
        return str(crashed)
