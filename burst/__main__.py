"""The ``burst`` program, and ``python -m burst``, which is the same."""

from __future__ import annotations

try:
    from burst.cli.main import run
except KeyboardInterrupt:
    # Whoever presses Ctrl-C while it loads gets no traceback either.
    raise SystemExit(130) from None

if __name__ == "__main__":
    run()
