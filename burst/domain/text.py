"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations


def printable(name: str) -> str:
    """Return a name as a terminal can show it: what is no character, or moves it, by its code."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
