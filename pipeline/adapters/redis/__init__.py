"""Redis: uploads in flight, reservations, stage leases and wake signals."""

from pipeline.imports import without

with without("jwt", required=True):  # for tokens of Entra ID as passwords, which no setting of ours can ask for
    from redis.asyncio import Redis  # before any module here imports it

__all__ = ["Redis"]
