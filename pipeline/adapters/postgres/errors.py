"""Translates everything that goes wrong while PostgreSQL is used.

    DependencyUnavailable DATABASE_UNAVAILABLE   the default: worth retrying
    DatabaseRejected DATABASE_REJECTED           proven: PostgreSQL or its driver refused a value that was sent

Guarantee: nothing but a SluiceError and CancelledError leaves the two blocks. An error is PostgreSQL's fault unless it
is proven otherwise, because most errors pass by themselves or by an operator's action: a cancelled statement, a full
disk, too many connections, a missing privilege, a schema of another release, a damaged page. The reason contains the
SQLSTATE and its name as PostgreSQL's documentation (appendix A) has them; `detail.sqlstate` holds the SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from pipeline.adapters.postgres.conditions import condition
from pipeline.core.errors import DatabaseRejected, DependencyUnavailable, SluiceError
from pipeline.logs import Log, logger

# 22: data exception, 23: integrity constraint violation.
_CLASSES_OF_VALUES = ("22", "23")
# Of these classes, but caused by no value: a sequence has reached its end.
_CAUSED_BY_NO_VALUE = frozenset({"2200H"})
_NOT_NULL = "23502"
_LONGEST_MESSAGE = 500


@contextmanager
def translated() -> Iterator[None]:
    """Surrounds every use of PostgreSQL. Raises DependencyUnavailable; a SluiceError passes."""
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:
        raise _unavailable(error) from error


@contextmanager
def values_translated() -> Iterator[None]:
    """Surrounds statements with values that Sluice did not choose itself. Raises DatabaseRejected for a value that is
    refused, DependencyUnavailable for everything else."""
    with translated():
        try:
            yield
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_about_a_value(error):
                raise
            raise DatabaseRejected("DATABASE_REJECTED", reason=reason(error), sqlstate=sqlstate(error)) from error


def is_about_a_value(error: Exception) -> bool:
    """Whether `error` proves that a value was refused.

    Sluice writes no null to a column that it knows and that takes none. PostgreSQL names the column of such an error:
    the schema is that of a newer release.
    """
    code = sqlstate(error)
    if code is None:  # the driver could not encode a value
        return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    if code == _NOT_NULL and getattr(error, "column_name", None):
        return False
    return code.startswith(_CLASSES_OF_VALUES) and code not in _CAUSED_BY_NO_VALUE


def sqlstate(error: Exception) -> str | None:
    """The SQLSTATE that PostgreSQL sent; None for an error of the driver, the socket or the pool."""
    return getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None


def reason(error: Exception) -> str:
    """The error for people, in one line, without the rows that PostgreSQL's detail may quote."""
    message = " ".join(str(error.args[0] if error.args else "").split())[:_LONGEST_MESSAGE]
    if isinstance(error, asyncpg.PostgresError):
        return f"{f'{error.sqlstate} {condition(error)}'.rstrip()}: {message}"
    if isinstance(error, TimeoutError) and not message:
        return "no response in time"
    return f"{type(error).__name__}: {message}".rstrip(": ")


def _unavailable(error: Exception) -> DependencyUnavailable:
    if not isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        logger().exception(Log.DATABASE_UNEXPECTED)  # perhaps a bug, so its traceback must not be lost
    return DependencyUnavailable("DATABASE_UNAVAILABLE", reason=reason(error), sqlstate=sqlstate(error))
