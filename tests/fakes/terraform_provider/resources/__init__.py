"""The resources, by the API that has them."""

from __future__ import annotations

from tests.fakes.terraform_provider.resources import (
    cluster,
    compute,
    identity,
    naming,
    node_pool,
    registry,
    services,
    storage,
)
from tests.fakes.terraform_provider.resources.resource import Resource

_MODULES = (cluster, compute, identity, naming, node_pool, registry, services, storage)

RESOURCES: dict[str, Resource] = {
    resource.type: resource for module in _MODULES for resource in module.RESOURCES
}
DATA_SOURCES = services.DATA_SOURCES
