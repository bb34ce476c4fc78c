"""Redis: uploads in flight, reservations, stage leases and wake signals."""

from pipeline.imports import without

with without("jwt", required=True):  # for tokens of Entra ID as passwords, which no setting of ours can ask for
    import redis  # noqa: F401  # before any module here imports it
