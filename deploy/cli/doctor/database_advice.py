"""What to do about an error of PostgreSQL, by its SQLSTATE or the SQLSTATE's class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CONNECTION: Final = "Check that it is running and that SLUICE_DATABASE_URL is right."
_DISK: Final = "Free space on the server's disk; its log has the details."
_OWNER: Final = "Use the owner of the tables, or have it run: GRANT ALL ON ALL TABLES IN SCHEMA public TO ..."
_SCHEMA: Final = "The schema is not that of this release. Run: sluice migrate"
_STATEMENT_MODE: Final = (
    "A pooler in statement mode is in between. PgBouncer needs `pool_mode = transaction` or `session`."
)
_TIMEOUT: Final = (
    "Raise or reset the timeout for Sluice's user and database: ALTER DATABASE ... RESET statement_timeout, ALTER ROLE"
    " ... RESET statement_timeout."
)

_BY_CODE: Final[Mapping[str, str]] = {
    "08P01": "If PgBouncer is in between: set `pool_mode = transaction`, and check its users and max_client_conn.",
    "25006": "Set SLUICE_DATABASE_URL to the primary; or ALTER DATABASE ... RESET default_transaction_read_only.",
    "25P03": "Raise idle_in_transaction_session_timeout for Sluice's user.",
    "25P04": "Raise transaction_timeout for Sluice's user.",
    "26000": _STATEMENT_MODE,
    "42P05": _STATEMENT_MODE,
    "3D000": "Create the database that SLUICE_DATABASE_URL names: createdb NAME",
    "3F000": _SCHEMA,
    "42501": _OWNER,
    "42P01": _SCHEMA,
    "42703": _SCHEMA,
    "53100": _DISK,
    "53200": "The server has too little memory: see work_mem and the memory of its machine.",
    "53300": "Raise max_connections, or the CONNECTION LIMIT of user or database; or lower SLUICE_DATABASE_POOL, or use"
    " PgBouncer.",
    "55P03": "Something holds a lock on Sluice's tables (pg_locks), or lock_timeout is too short for Sluice's user.",
    "57014": _TIMEOUT,
    "57P03": "The server is starting or shutting down; try again.",
    "58030": "The server cannot read or write its files; check its disk and its log.",
    "P0001": "A trigger on Sluice's tables refuses the row. Remove or correct it.",
}
_BY_CLASS: Final[Mapping[str, str]] = {
    "08": _CONNECTION,
    "0A": "The schema changed, or a pooler does not support a statement; try again, then check what is in between.",
    "22": "A constraint, trigger or column type on Sluice's tables is not Sluice's own. Remove or correct it.",
    "23": "A constraint or trigger on Sluice's tables is not Sluice's own. Remove or correct it.",
    "28": "Check the user and the password in SLUICE_DATABASE_URL, and the server's pg_hba.conf.",
    "40": "Another transaction interferes; try again.",
    "42": _SCHEMA,
    "53": "The server lacks a resource; its log has the details.",
    "54": "A limit of the server is exceeded; its log has the details.",
    "55": "Another session uses what is needed; try again.",
    "57": "An operator or the server itself ended the session; try again.",
    "58": "The server cannot use its files; check its disk and its log.",
    "P0": "A trigger on Sluice's tables fails. Remove or correct it.",
    "XX": "The server reports damaged data or an internal error. Check its log and its disk, and restore a backup if"
    " needed.",
}


def advice_for(sqlstate: str | None, message: str = "") -> str:
    """One or two sentences; never empty."""
    if "statement pooling mode" in message:  # PgBouncer gives no SQLSTATE of its own
        return _STATEMENT_MODE
    if sqlstate is None:
        return _CONNECTION
    return _BY_CODE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2]) or "Look up the error in the server's log."
