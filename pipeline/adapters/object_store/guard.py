"""The rule that every store adapter keeps: nothing but a SluiceError leaves it.

Guarantee: an exception that an adapter did not expect (a response that a parser rejects, a missing key, a value of
another type, an error of a driver or of the disk) leaves as StoreUnavailable, which names the operation and the
problem. Retrying may help, since the store or something in front of it is at fault. SluiceErrors pass unchanged, those
of a SegmentSource too, and so does cancellation. A group of errors leaves as its first SluiceError.

The rule covers every public method of a subclass of `Guarded`, also one that is added later: the methods are wrapped
when the class is made. Async generators are covered for each of their items.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.core.errors import SluiceError, StoreUnavailable
from pipeline.logs import Log, logger

_MARK = "__guarded__"
_SPECIAL_METHODS = ("__aenter__",)
_REASON_CHARACTERS = 512


class Guarded:
    """Base of every class that implements a port of the object stores, or a login that a store calls."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, member in list(vars(cls).items()):
            covered = not name.startswith("_") or name in _SPECIAL_METHODS
            if covered and inspect.isfunction(member) and not is_guarded(member):
                setattr(cls, name, _guard(member))


def is_guarded(function: object) -> bool:
    """Whether `function` is wrapped by this module."""
    return getattr(function, _MARK, False) is True


@contextmanager
def only_sluice_errors(what: str) -> Iterator[None]:
    """Turn every exception that is no SluiceError into StoreUnavailable; `what` names the operation."""
    try:
        yield
    except SluiceError:
        raise
    except ExceptionGroup as group:
        raise _first_sluice_error(group) or _unexpected(what, group.exceptions[0]) from group
    except Exception as error:
        raise _unexpected(what, error) from error


def _unexpected(what: str, error: Exception) -> StoreUnavailable:
    logger(operation=what).warning(Log.STORE_ERROR_UNEXPECTED, exc_info=error)
    said = " ".join(str(error)[:_REASON_CHARACTERS].split())
    problem = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return StoreUnavailable(reason=f"{what} failed: {problem}")


def _first_sluice_error(group: ExceptionGroup[Exception]) -> SluiceError | None:
    for error in group.exceptions:
        found = _first_sluice_error(error) if isinstance(error, ExceptionGroup) else error
        if isinstance(found, SluiceError):
            return found
    return None


def _guard(function: Callable[..., Any]) -> Callable[..., Any]:
    guarded: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
            with only_sluice_errors(_operation(self, function)):
                return await function(self, *args, **kwargs)

    else:

        @functools.wraps(function)
        def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
            what = _operation(self, function)
            with only_sluice_errors(what):
                returned = function(self, *args, **kwargs)
            return _guarded_items(returned, what) if isinstance(returned, AsyncGenerator) else returned

    setattr(guarded, _MARK, True)
    return guarded


async def _guarded_items(items: AsyncGenerator[Any], what: str) -> AsyncGenerator[Any]:
    try:
        while True:
            with only_sluice_errors(what):
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item
            del item  # a block of a download must not stay in memory while the next one is read
    finally:
        with only_sluice_errors(what):
            await items.aclose()


def _operation(self: Any, function: Callable[..., Any]) -> str:
    return f"{type(self).__name__}.{function.__name__}"
