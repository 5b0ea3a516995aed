"""The part of the artists' API about worker pools: look at them, and say how large they are."""

from __future__ import annotations

from fastapi import APIRouter

from burst.manager.autoscaler.loop import Autoscaler
from burst.protocol.artist_messages import ChangePool, Pools, PoolView
from burst.protocol.messages import API


def pool_routes(autoscaler: Autoscaler) -> APIRouter:
    """Return the routes about worker pools."""
    router = APIRouter(prefix=f"{API}/pools", tags=["pools"])

    @router.get("")
    async def list_pools() -> Pools:
        return Pools(pools=autoscaler.views)

    @router.put("/{name}")
    async def change_pool(name: str, message: ChangePool) -> PoolView:
        return await autoscaler.change(name, message)

    return router
