"""What the commands do, as functions that return values; `burst.cli` gives them words."""
