"""``python -m burst``: the same as the ``burst`` program."""

from __future__ import annotations

from burst.cli.main import run

if __name__ == "__main__":
    run()
