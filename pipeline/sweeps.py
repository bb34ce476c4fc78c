"""Sweeps: loops over many items, such as uploads, journals, jobs or pending deletions.

Guarantee: no item of a sweep cancels another. Whatever exception handling an item raises is logged with the item, and
the next item is handled; the next sweep tries the failed one again. Only a dependency that is unavailable for several
items in a row ends a sweep early, since it concerns them all. `end` reports such an error to the caller, so that its
loop repeats the sweep soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.errors import DependencyUnavailable, SluiceError
from pipeline.logs import Log, logger

FAILURES_IN_A_ROW = 3


class Sweep:
    """One sweep. `event` is logged for each failed item, with `bound` and what names the item."""

    def __init__(self, event: str = Log.ITEM_FAILED, **bound: object) -> None:
        self._event = event
        self._bound = bound
        self._unavailable: DependencyUnavailable | None = None
        self._in_a_row = 0
        self.failed = 0
        """How many items have failed."""

    @contextmanager
    def item(self, **item: object) -> Iterator[None]:
        """Handle one item inside this block. Raises DependencyUnavailable when it is the third in a row that met one;
        cancellation passes."""
        log = logger(**self._bound, **item)
        try:
            yield
        except SluiceError as error:
            self.failed += 1
            log.warning(self._event, code=error.code, reason=error.message)
            if isinstance(error, DependencyUnavailable):
                self._unavailable = error
                self._in_a_row += 1
                if self._in_a_row >= FAILURES_IN_A_ROW:
                    raise
                return
        except Exception:  # of one item: it must not cancel the others
            self.failed += 1
            log.exception(self._event)
        self._in_a_row = 0

    def end(self) -> None:
        """Raises the last DependencyUnavailable that an item met."""
        if self._unavailable is not None:
            raise self._unavailable
