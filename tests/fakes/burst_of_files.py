"""``burst`` as scripts/verify-cloud calls it, without any farm: its state is a file beside it.

``script.json`` says what goes wrong: ``{"fails": ["render"], "hangs": ["up"], "hour": 0.5}``.
A command that hangs ends at an interrupt.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

SCRIPT, CALLS, LOOKS, FARM = (
    Path(name) for name in ("script.json", "calls.log", "looks.log", "farm")
)
"""The last is there while there is a farm."""


def amount(value: float | None) -> dict[str, Any]:
    """Return an amount as burst tells it."""
    return {"amount": value, "at_least": value or 0.0, "unknown": [] if value else ["a"]}


def do(arguments: list[str], script: dict[str, Any]) -> None:
    """Do what a command does."""
    match arguments:
        case ["up", *_]:
            FARM.touch()
        case ["down", *_]:
            FARM.unlink(missing_ok=True)
        case ["render", *_]:
            folder = Path(arguments[arguments.index("--output") + 1])
            folder.mkdir()
            for i in range(script.get("frames", 48)):
                (folder / f"frame-{i:04}.png").touch()


def answer(arguments: list[str], script: dict[str, Any]) -> Any:
    """Return what a command says."""
    hour = script.get("hour", 0.2)
    match arguments:
        case ["doctor", "--leftovers", *_]:
            left = script.get("left", [])
            return {"zero": not left, "left": left, "kept": ["b"] if FARM.exists() else []}
        case ["doctor", *_]:
            return {"findings": script.get("findings", [])}
        case ["up", "--plan", *_]:
            costs = {"hour_idle": amount(hour), "hour_full": amount(hour and hour * 5)}
            changes = [] if FARM.exists() else ["x"]
            return {"changes": changes, "costs": {"currency": "USD", **costs}}
        case ["status", *_]:
            return {"tasks_active": 3}
        case ["cost", *_]:
            with LOOKS.open("a") as looks:
                looks.write("x")
            nodes = max(0, 3 - LOOKS.stat().st_size)
            if "cost" in script:
                return script["cost"]
            return {"hour_now": amount(hour), "nodes": {"cpu": nodes}, "up": True}


def main(arguments: list[str]) -> int:
    """Do one command, or say what it asks."""
    script = json.loads(SCRIPT.read_text()) if SCRIPT.exists() else {}
    with CALLS.open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    print(f"doing {arguments[0]}", file=sys.stderr, flush=True)
    if arguments[0] in script.get("hangs", ()):
        time.sleep(3600)
    if arguments[0] in script.get("fails", ()):
        print(
            json.dumps({"error": "E", "message": "it can't be", "hint": "mend it"}), file=sys.stderr
        )
        return 1
    if "--json" in arguments:
        print(json.dumps(answer(arguments, script)))
    else:
        do(arguments, script)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
