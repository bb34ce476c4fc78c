"""The one place that turns settings into adapters, and adapters into what the gateway and the workers use.

Guarantee: whatever is opened here is closed in reverse order when the block ends; nothing is opened twice per process
(one Redis pool, one PostgreSQL pool, one client with one token per object store).
"""

from pipeline.bootstrap.redis import RedisParts, redis_parts
from pipeline.bootstrap.services import (
    GatewayServices,
    WorkerServices,
    content_repository,
    gateway_services,
    worker_services,
)
from pipeline.bootstrap.stores import open_store, open_stores
from pipeline.bootstrap.volume import volume_parts

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
