"""Creates adapters from the settings, and from the adapters the services of the gateway and the workers. Nothing else
does.

Guarantee: everything that is opened here is closed in reverse order when its block ends. Nothing is opened twice in a
process: there is one Redis pool, one PostgreSQL pool, and one client with one token per object store.
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
