"""What CLI, worker and manager say to each other: the messages and the one client."""
