"""Nothing but a SluiceError leaves a store adapter: every method of a port, of every adapter, also of later ones."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast, get_type_hints

import pytest
from botocore.parsers import ResponseParserError

from pipeline.adapters import object_store
from pipeline.adapters.object_store.guard import Guarded, is_guarded
from pipeline.adapters.object_store.swift.auth import SwiftAuth
from pipeline.core.errors import SegmentCorrupt, StoreError, StoreUnavailable, TempVolumeError
from pipeline.ports import object_store as ports

pytestmark = pytest.mark.unit

# Those that adapters implement. `Stores` is a collection of them, `SegmentSource` and `Hash` are what they are given.
NOT_OF_ADAPTERS = {"Hash", "SegmentSource", "Stores"}


def protocols() -> list[type]:
    found = [
        member
        for _, member in inspect.getmembers(ports, inspect.isclass)
        if member.__module__ == ports.__name__ and getattr(member, "_is_protocol", False)
    ]
    assert {"ObjectStore", "PresignedDownloads", "TransferSessions"} <= {protocol.__name__ for protocol in found}
    return [protocol for protocol in found if protocol.__name__ not in NOT_OF_ADAPTERS]


def methods_of(protocol: type) -> set[str]:
    return {
        name
        for base in protocol.__mro__
        for name, member in vars(base).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


PORT_METHODS = {name for protocol in protocols() for name in methods_of(protocol)} | methods_of(SwiftAuth)


def is_async(member: Any) -> bool:
    """Whether it is a coroutine function or an async generator, or the one method of a port that is neither."""
    function = inspect.unwrap(member)
    is_within = function.__name__ == "within"
    return is_within or inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def classes() -> list[type]:
    """Every class below `pipeline.adapters.object_store`, except protocols."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(object_store.__path__, f"{object_store.__name__}."):
        for _, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if member.__module__.startswith(object_store.__name__) and not getattr(member, "_is_protocol", False):
                found[f"{member.__module__}.{member.__qualname__}"] = member
    return list(found.values())


def implementations() -> Iterator[tuple[type, str]]:
    """(class, method) of everything in the adapters that bears the name of a port's method, in a class that has what a
    port requires."""
    required = [methods_of(protocol) for protocol in protocols()] + [methods_of(SwiftAuth)]
    for kind in classes():
        names = {name for name, member in inspect.getmembers(kind, inspect.isfunction) if is_async(member)}
        if any(methods <= names for methods in required):
            for name in sorted(names & PORT_METHODS):
                yield kind, name


IMPLEMENTATIONS = list(implementations())


def test_the_adapters_are_found() -> None:
    found = {kind.__name__ for kind, _ in IMPLEMENTATIONS}
    adapters = {"FilesystemObjectStore", "S3ObjectStore", "S3Reader", "SwiftObjectStore", "SwiftReader"}
    assert found >= adapters | {"TempAuth", "KeystonePassword", "KeystoneApplicationCredential"}
    assert {name for _, name in IMPLEMENTATIONS} == PORT_METHODS


@pytest.mark.parametrize(
    ("kind", "name"), IMPLEMENTATIONS, ids=[f"{kind.__name__}.{name}" for kind, name in IMPLEMENTATIONS]
)
def test_every_method_of_a_port_is_guarded(kind: type, name: str) -> None:
    assert issubclass(kind, Guarded)
    assert is_guarded(getattr(kind, name))


def test_every_store_that_settings_can_name_is_guarded() -> None:
    from pipeline.bootstrap.stores import _MAKERS

    stores = {getattr(kind, "name", "") for kind in classes() if issubclass(kind, Guarded) and hasattr(kind, "seal")}
    assert stores == set(_MAKERS)


UNEXPECTED = [
    json.JSONDecodeError("Expecting value", "<html>", 0),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ResponseParserError("Unable to parse response"),
    KeyError("UploadId"),
    TypeError("list indices must be integers"),
    ValueError("invalid literal for int()"),
    AttributeError("'list' object has no attribute 'get'"),
    RecursionError("maximum recursion depth exceeded"),
    OverflowError("too large"),
    AssertionError("the second response"),
    RuntimeError("Session is closed"),
    OSError(5, "Input/output error"),
    TimeoutError(),
    MemoryError(),
    ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
]


class Adapter(Guarded):
    """Methods of all kinds, each of which raises `error`."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def call(self) -> None:
        raise self.error

    def plain(self) -> None:
        raise self.error

    async def at_once(self) -> AsyncGenerator[int]:
        raise self.error
        yield 1

    async def later(self) -> AsyncGenerator[int]:
        yield 1
        raise self.error

    async def when_closed(self) -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            raise self.error


async def use(adapter: Adapter, method: str) -> None:
    if method == "call":
        await adapter.call()
    elif method == "plain":
        adapter.plain()
    elif method == "when_closed":
        items = adapter.when_closed()
        await anext(items)
        await items.aclose()
    else:
        async for _ in getattr(adapter, method)():
            pass


METHODS = ("call", "plain", "at_once", "later", "when_closed")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
async def test_an_unexpected_exception_is_the_store_s_fault(method: str, error: Exception) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        await use(Adapter(error), method)
    shown = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    assert raised.value.retryable
    assert f"Adapter.{method}" in raised.value.message
    assert type(shown).__name__ in raised.value.message
    assert str(shown)[:40] in raised.value.message
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "error",
    [
        StoreError("STORE_REJECTED", reason="no"),
        StoreUnavailable(reason="later"),
        SegmentCorrupt(3),
        TempVolumeError("TEMP_FILE_MISSING"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_of_sluice_and_cancellation_pass_unchanged(method: str, error: BaseException) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011  the identity is what is tested
        await use(Adapter(error), method)
    assert raised.value is error


async def test_a_group_leaves_as_its_first_error_of_sluice() -> None:
    inner = StoreError("STORE_AUTH_FAILED", reason="403")
    group = ExceptionGroup("all", [ValueError("x"), ExceptionGroup("more", [inner])])
    with pytest.raises(StoreError) as raised:
        await Adapter(group).call()
    assert raised.value is inner


def test_a_method_that_is_added_later_is_guarded() -> None:
    class Later(Adapter):
        async def another(self) -> None:
            """Added by a subclass."""

    assert is_guarded(Later.another)
    assert get_type_hints(Later.another) == {"return": type(None)}


async def test_items_pass_in_their_order() -> None:
    class Store(Guarded):
        async def read(self) -> AsyncGenerator[int]:
            for number in range(3):
                yield number

    assert [item async for item in Store().read()] == [0, 1, 2]


async def test_a_consumer_s_own_exception_is_not_the_store_s() -> None:
    class Store(Guarded):
        async def read(self) -> AsyncGenerator[int]:
            yield 1

    async def consume() -> None:
        async for _ in cast(Any, Store()).read():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await consume()
