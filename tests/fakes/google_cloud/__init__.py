"""A stand-in for Google Cloud on loopback, as strict as the real one where a farm relies on it.

Paths, parameters and types of every method are those of Google's discovery documents: what they
do not have is refused, and is never answered. There are names that are taken, references that
lead nowhere, resources that are in use, operations that take time, and faults on demand.
"""

from tests.fakes.google_cloud.answering import Request
from tests.fakes.google_cloud.cloud import GoogleCloud, RealCluster
from tests.fakes.google_cloud.faults import FOREVER, Fault

__all__ = ["FOREVER", "Fault", "GoogleCloud", "RealCluster", "Request"]
