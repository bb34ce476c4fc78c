"""What to do about each problem of Redis, by the code of its reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LOGIN = "Set user and password in SLUICE_REDIS_URL: redis://user:password@host:6379/0"
_PRIMARY = "Set SLUICE_REDIS_URL to the primary, or to its Sentinels."
SINGLE_SERVER = "Sluice's scripts use several keys at once. Use a single server; it may have replicas."
OTHERWISE = "Check that it is running and that SLUICE_REDIS_URL is right."

ADVICE: Final[Mapping[str, str]] = {
    "OOM": "Raise maxmemory (CONFIG SET maxmemory BYTES, and CONFIG REWRITE), and do not share this server:"
    " `redis-cli --bigkeys` shows what fills it.",
    "MISCONF": "Check whether the disk of its data is full or read-only; its log has the details. Then run BGSAVE.",
    "READONLY": _PRIMARY,
    "MASTERDOWN": _PRIMARY,
    "NOREPLICAS": "Start its replicas, or run CONFIG SET min-replicas-to-write 0.",
    "LOADING": "Wait until it has loaded its data.",
    "BUSY": "Run SCRIPT KILL (or FUNCTION KILL), and find out who runs that script: Sluice's take milliseconds.",
    "NOAUTH": _LOGIN,
    "WRONGPASS": _LOGIN,
    "NOPERM": "Give the user of SLUICE_REDIS_URL these rights: ACL SETUSER {user} {rights}",
    "MAXCLIENTS": "Raise maxclients (CONFIG SET maxclients N), or find idle connections with CLIENT LIST.",
    "DENIED": "Set a password (requirepass), or bind it to an address that only Sluice can reach.",
    "UNKNOWN": "Sluice needs Redis 6.2 or newer, without rename-command.",
    **dict.fromkeys(("CLUSTERDOWN", "MOVED", "ASK", "CROSSSLOT", "TRYAGAIN"), SINGLE_SERVER),
}
"""A test compares the codes with those of `adapters.redis.replies.PROBLEMS`."""


def rights(namespace: str) -> str:
    """The rules of an ACL user that has what Sluice needs and no more."""
    return f"~{namespace}:* ~arq:job:* resetchannels &{namespace}:* +@all -@admin -@dangerous +info"


def advice(code: str, user: str | None, namespace: str) -> str:
    """What to do about a reply with this code; the general advice for a code that is not known."""
    return ADVICE.get(code, OTHERWISE).format(user=user or "default", rights=rights(namespace))
