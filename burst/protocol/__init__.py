"""What CLI, worker and manager say to each other: the messages and the one client."""

import sys

# httpx imports a command line of its own where it can, and with it rich: half of its start-up
# time, on every command of ours. It takes this as "not installed".
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
