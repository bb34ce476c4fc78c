"""asyncpg's errors, translated once: whatever says "not now" becomes DependencyUnavailable DATABASE_UNAVAILABLE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from pipeline.core.errors import DependencyUnavailable

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.DiskFullError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InterfaceError,
    asyncpg.UndefinedTableError,  # not migrated yet
    OSError,
    TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Around every use of the database."""
    try:
        yield
    except _AWAY as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise DependencyUnavailable("DATABASE_UNAVAILABLE", reason=reason) from error
