"""Asking the gateways of the other cells, for what spans all of them.

Guarantee: every other cell has either responded, with data of the expected form, or is named as unreachable. A question
takes `LIMIT_SECONDS` at most, once its turn has come; at most `_AT_ONCE` are asked at a time, and of each response at
most `_MAX_BYTES` are read. A cell that does not respond in time is not asked again for `_PAUSE_SECONDS`, so that it
delays few requests. Each question names the cell that it is for, and a gateway that is asked so asks no other one:
there are no loops, and a URL that leads to another cell is noticed. The caller's credential is sent to the URLs of
SLUICE_CELLS only, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from pipeline.core.errors import StoreUnavailable
from pipeline.logs import Log, logger
from pipeline.ports import PlainClient
from schemas.http import Success

T = TypeVar("T", bound=BaseModel)

LIMIT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 5.0
_AT_ONCE: Final = 16
_MAX_BYTES: Final = 8 * 1024 * 1024  # a page of 200 uploads, each with 16 KiB of metadata and a list of segments
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class FromCells(Generic[T]):
    """`found`: number of a cell -> what its gateway has responded. `unreachable`: the numbers of the others, sorted."""

    found: Mapping[int, T]
    unreachable: list[int]


class OtherCells:
    """The other cells of an installation. `cells`: (number, URL) of every cell; empty: there is only one."""

    def __init__(
        self,
        own: int,
        cells: Sequence[tuple[int, str]],
        client: PlainClient,
        limit_seconds: float = LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.own: Final = own
        self._urls = {number: url for number, url in cells if number != own}
        self._client = client
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._paused_until: dict[int, float] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._urls)

    async def ask(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str], model: type[T]
    ) -> FromCells[T]:
        """`GET path` of every other cell at once, with this query and these headers; `model`: of the data in the
        envelope. Never raises for what a cell does."""
        responses = await asyncio.gather(*(self._one(number, path, query, headers, model) for number in self._urls))
        pairs = list(zip(self._urls, responses, strict=True))
        return FromCells(
            {number: data for number, data in pairs if data is not None},
            sorted(number for number, data in pairs if data is None),
        )

    async def _one(
        self, number: int, path: str, query: Mapping[str, Any], headers: Mapping[str, str], model: type[T]
    ) -> T | None:
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        url = f"{self._urls[number]}{path}?{urlencode({**query, 'cell': number})}"
        async with self._turns:
            if self._clock() < self._paused_until.get(number, 0.0):
                return None
            try:
                async with asyncio.timeout(self._limit_seconds):
                    response = await self._client.request("GET", url, headers=sent, max_bytes=_MAX_BYTES)
            except TimeoutError:
                self._paused_until[number] = self._clock() + _PAUSE_SECONDS
                reason = f"no response within {self._limit_seconds:g} s"
            except StoreUnavailable as error:
                reason = str(error.detail.get("reason", error.message))
            else:
                if response.status == _OK:
                    return self._parsed(number, response.body, model)
                reason = f"status {response.status}"
        logger().warning(Log.CELL_UNREACHABLE, cell=number, reason=reason)
        return None

    def _parsed(self, number: int, body: bytes, model: type[T]) -> T | None:
        envelope: Any = Success
        try:
            parsed: Success[T] = envelope[model].model_validate_json(body)
        except ValidationError:  # also a body that was cut off, and that of a release with other fields
            logger().warning(Log.CELL_UNREACHABLE, cell=number, reason="the response does not have the expected form")
            return None
        return parsed.data
