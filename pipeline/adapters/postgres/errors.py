"""Translates asyncpg's errors: each that may pass by itself or by an operator's action becomes DependencyUnavailable
DATABASE_UNAVAILABLE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from pipeline.core.errors import DependencyUnavailable

_UNAVAILABLE = (
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
    asyncpg.UndefinedTableError,  # the schema is not migrated yet
    OSError,
    TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Wraps every use of the database. Raises DependencyUnavailable; other errors pass unchanged."""
    try:
        yield
    except _UNAVAILABLE as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise DependencyUnavailable("DATABASE_UNAVAILABLE", reason=reason) from error
