"""The one place that turns settings into adapters, and adapters into the services of gateways and workers.

Guarantee: everything opened here is closed in reverse order when the block ends; nothing is opened twice per process
(one Redis pool, one PostgreSQL pool, one client with one token per object store).

A process imports what it uses: these names are imported at their first use, the adapter of a store only where that
store is configured, and a stage only in a worker that runs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.bootstrap.gateway import GatewayServices, gateway_services
    from pipeline.bootstrap.redis import RedisParts, redis_parts
    from pipeline.bootstrap.shared import content_repository
    from pipeline.bootstrap.stores import open_store, open_stores
    from pipeline.bootstrap.volume import volume_parts
    from pipeline.bootstrap.worker import WorkerServices, worker_services

__all__ = [
    "GatewayServices",
    "RedisParts",
    "WorkerServices",
    "content_repository",
    "gateway_services",
    "open_store",
    "open_stores",
    "redis_parts",
    "volume_parts",
    "worker_services",
]

_MODULES = {
    "GatewayServices": "gateway",
    "RedisParts": "redis",
    "WorkerServices": "worker",
    "content_repository": "shared",
    "gateway_services": "gateway",
    "open_store": "stores",
    "open_stores": "stores",
    "redis_parts": "redis",
    "volume_parts": "volume",
    "worker_services": "worker",
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, imported now (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
