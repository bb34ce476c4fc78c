"""States in which a real Redis runs and refuses what Sluice sends, each as long as a block lasts.

`REDIS_FAULTS` has one for each error that a server of our own can be made to reply; `tests.harness.faults.resp` injects
the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tests.harness.redis_versions import PASSWORD, USER

Fault = Callable[[Redis], AbstractAsyncContextManager[None]]
"""Called with a client of the server's default user."""

_NOBODY = ("127.0.0.1", "9")
_THRESHOLD = "lua-time-limit"  # milliseconds; newer servers also call it busy-reply-threshold
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class RedisFault:
    """`codes` of its replies. `reads_fail`: also plain reads are refused."""

    codes: frozenset[str]
    during: Fault
    reads_fail: bool = False

    @classmethod
    def of(cls, codes: str, during: Fault, *, reads_fail: bool = False) -> RedisFault:
        return cls(frozenset(codes.split()), during, reads_fail)


def _configured(**settings: str | int) -> Fault:
    """Other settings than before (CONFIG SET)."""

    @asynccontextmanager
    async def during(admin: Redis) -> AsyncIterator[None]:
        names = {name.replace("_", "-"): value for name, value in settings.items()}
        before = {name: (await admin.config_get(name))[name] for name in names}
        try:
            for name, value in names.items():
                await admin.config_set(name, value)
            yield
        finally:
            for name, value in before.items():
                await admin.config_set(name, value)

    return during


@asynccontextmanager
async def read_only(admin: Redis) -> AsyncIterator[None]:
    """A replica. Its primary is gone, which it tolerates."""
    try:
        await admin.execute_command("REPLICAOF", *_NOBODY)  # type: ignore[no-untyped-call]  # redis-py has no types here
        yield
    finally:
        await admin.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]  # as above


@asynccontextmanager
async def primary_lost(admin: Redis) -> AsyncIterator[None]:
    """A replica that serves nothing without its primary."""
    async with _configured(replica_serve_stale_data="no")(admin), read_only(admin):
        yield


@asynccontextmanager
async def save_failed(admin: Redis) -> AsyncIterator[None]:
    """The last snapshot could not be written: a directory has its name."""
    obstacle = Path((await admin.config_get("dir"))["dir"]) / "dump.rdb"
    obstacle.unlink(missing_ok=True)
    obstacle.mkdir()
    async with _configured(save="3600 1")(admin):
        try:
            await _save(admin, "err")
            yield
        finally:
            obstacle.rmdir()
            await _save(admin, "ok")


async def _save(admin: Redis, status: str) -> None:
    """Take snapshots until one ends with this status."""
    while (await admin.info("persistence"))["rdb_last_bgsave_status"] != status:
        with suppress(ResponseError):  # one is being taken
            await admin.bgsave()
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def busy(admin: Redis) -> AsyncIterator[None]:
    """A script runs that does not end."""
    async with _configured(**{_THRESHOLD.replace("-", "_"): 1})(admin):
        address = admin.connection_pool.connection_kwargs
        other: Redis = Redis(host=address["host"], port=address["port"])
        running = asyncio.ensure_future(other.eval("while true do end", 0))  # type: ignore[arg-type]  # redis-py types sync and async in one
        try:
            with suppress(ResponseError):
                while await admin.ping():  # noqa: ASYNC110  # the server does not tell when it becomes busy
                    await asyncio.sleep(_POLL_SECONDS)
            yield
        finally:
            await admin.script_kill()
            with suppress(ResponseError):
                await running
            await other.aclose()


def _ruled(*rules: str, undo: tuple[str, ...], kill: bool = False) -> Fault:
    """Other rules for the user of the cell. A server checks a login only when a connection begins."""

    @asynccontextmanager
    async def during(admin: Redis) -> AsyncIterator[None]:
        async def apply(*changed: str) -> None:
            await admin.execute_command("ACL", "SETUSER", USER, *changed)  # type: ignore[no-untyped-call]  # as above

        await apply(*rules)
        if kill:
            await admin.execute_command("CLIENT", "KILL", "USER", USER)  # type: ignore[no-untyped-call]  # as above
        try:
            yield
        finally:
            await apply(*undo)

    return during


@asynccontextmanager
async def no_more_clients(admin: Redis) -> AsyncIterator[None]:
    """maxclients is reached: every connection but the administrator's has ended."""
    async with _configured(maxclients=1)(admin):
        for kind in ("normal", "pubsub"):
            await admin.execute_command("CLIENT", "KILL", "TYPE", kind)  # type: ignore[no-untyped-call]  # as above
        yield


REDIS_FAULTS: Mapping[str, RedisFault] = {
    "out of memory": RedisFault.of("OOM", _configured(maxmemory=1)),
    "read-only replica": RedisFault.of("READONLY", read_only),
    "replica without its primary": RedisFault.of("MASTERDOWN READONLY", primary_lost, reads_fail=True),
    "failed save": RedisFault.of("MISCONF", save_failed),
    "too few replicas": RedisFault.of("NOREPLICAS", _configured(min_replicas_to_write=1)),
    "busy with a script": RedisFault.of("BUSY", busy, reads_fail=True),
    "without a command": RedisFault.of("NOPERM", _ruled("-xadd", undo=("+xadd",))),
    "without scripts": RedisFault.of("NOPERM", _ruled("-evalsha", undo=("+evalsha",))),
    "without its channels": RedisFault.of("NOPERM", _ruled("resetchannels", undo=("&*",))),
    "without its keys": RedisFault.of("NOPERM", _ruled("resetkeys", undo=("~*",)), reads_fail=True),
    "wrong password": RedisFault.of(
        "WRONGPASS", _ruled("resetpass", ">other", undo=(f">{PASSWORD}",), kill=True), reads_fail=True
    ),
    "user is off": RedisFault.of("WRONGPASS", _ruled("off", undo=("on",), kill=True), reads_fail=True),
    "too many connections": RedisFault.of("MAXCLIENTS", no_more_clients, reads_fail=True),
}
