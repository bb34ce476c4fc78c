"""Settings of Redis and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from pipeline.settings.values import CaFile, DatabaseUrl, RedisUrl


class DependencySettings(BaseModel):
    """How to reach Redis and PostgreSQL."""

    redis_url: RedisUrl = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="URL of Redis, with AOF enabled: `redis://USER:PASSWORD@HOST:PORT/0`, or `rediss://` for TLS with "
        "a verified certificate and host name. With Sentinel: "
        "`redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/0` or `rediss+sentinel://`, where hosts and ports "
        "are those of the Sentinels, and NAME is that of the primary (docs/high-availability.md). Redis Cluster does "
        "not work",
    )
    redis_ca_file: CaFile = Field(
        None,
        description="File of CA certificates (PEM) that are trusted besides the system's, for Redis with a private CA",
    )
    redis_certificate_file: Path | None = Field(
        None, description="Client certificate (PEM) for a Redis that requires one; the file may contain the key, too"
    )
    redis_key_file: Path | None = Field(
        None, description="Key (PEM) of the client certificate, if it is in another file"
    )
    redis_namespace: str = Field("sluice", pattern=r"^[a-z0-9-]+$", description="Prefix of every Redis key")
    database_url: DatabaseUrl = Field(
        SecretStr("postgresql://sluice@127.0.0.1:5432/sluice"),
        description="URL of PostgreSQL, which holds content metadata. For TLS: `?sslmode=verify-full`, and "
        "`&sslrootcert=FILE` for a private CA; other parameters are those of libpq. Of several hosts "
        "(`HOST:PORT,HOST:PORT`) the one that is the primary is used (docs/high-availability.md)",
    )
    database_pool: int = Field(
        4, ge=1, description="Maximum PostgreSQL connections per process; the persist stage needs few"
    )
    database_migrate: bool = Field(
        True, description="Whether gateways and workers apply pending schema migrations before they use PostgreSQL"
    )
    database_patience_seconds: float = Field(
        86_400,
        gt=0,
        description="Outage budget of PostgreSQL: a stored upload fails when its row cannot be written for this long; "
        "one day, because only the row is missing",
    )
