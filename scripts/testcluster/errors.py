"""What keeps a test cluster from its work."""


class ClusterError(Exception):
    """A sentence for whoever called `scripts/cluster`."""
