"""The one place that turns settings into adapters, and adapters into the services of gateways and workers.

Guarantee: everything opened here is closed in reverse order when the block ends; nothing is opened twice per process
(one Redis pool, one PostgreSQL pool, one client with one token per object store).
"""

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
