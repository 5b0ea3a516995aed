"""The HTTP side of the manager: parse, call, answer. Nothing is decided here."""
