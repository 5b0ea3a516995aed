"""What keeps a test cluster from its work."""


class ClusterError(Exception):
    """A sentence for whoever called `scripts/cluster`."""


class Unfit(ClusterError):
    """This machine can't have a cluster, whatever is tried: something of its kernel is lacking."""
