"""Compares the objects in the stores with the rows of contents: which objects belong to nothing?

Guarantee: nothing is changed. What belongs to a content, to a deletion that is pending, or to an upload of this cell
that is not cleaned up is no finding; neither is what an operator has to decide about (`core.errors.KEEPS_STORED`).
Cells share a store and know only their own uploads: what belongs to an upload that names another cell is left to that
cell, and what belongs to any other upload without a record is a finding only from `unknown_seconds` after its creation
on. Every finding is looked at again, later. Objects whose names Sluice does
not make, such as those that were imported, are none.

Memory: the ids of `_BATCH` uploads that are not known to PostgreSQL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from pipeline.core.cells import is_of_another
from pipeline.core.errors import RequestError
from pipeline.core.stored_objects import upload_of
from pipeline.ports import Store, Stores, UploadReader
from pipeline.ports.contents import ContentAudit
from pipeline.upkeep.findings import Fault, Finding

_ASKED_AT_ONCE = 500
_BATCH = 10_000
_UUID_VERSION = 7
# As `ports.ObjectSource.list_keys` names them.
_SEGMENT = "segment:"
_MULTIPART = "multipart:"


@dataclass(frozen=True, slots=True)
class OrphanSearch:
    """`recheck_seconds`: a finding is looked at again after this time, since listings lag behind. `own` and `cells`:
    the numbers of this cell and of all cells."""

    unknown_seconds: float = 7 * 24 * 3600.0
    recheck_seconds: float = 5.0
    own: int = 0
    cells: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Names:
    """Names of one upload: the first one, and how many there are."""

    first: str
    count: int = 1


class ComparedObjects:
    """`on_listed` is called for each name."""

    def __init__(
        self,
        audit: ContentAudit,
        uploads: UploadReader,
        stores: Stores,
        rules: OrphanSearch,
        on_listed: Callable[[], None] = lambda: None,
    ) -> None:
        self._audit = audit
        self._uploads = uploads
        self._stores = stores
        self._rules = rules
        self._on_listed = on_listed

    async def every(self) -> AsyncIterator[Finding]:
        """The orphaned objects of every configured store, one finding for each upload. Raises DependencyUnavailable,
        StoreError."""
        for store in self._stores.every():
            suspects: dict[str, _Names] = {}
            asked: dict[str, _Names] = {}
            async for name in store.list_keys():
                self._on_listed()
                upload_id = _upload_of(name)
                if upload_id is None:
                    continue
                known = asked.get(upload_id) or suspects.get(upload_id)
                if known is not None:
                    known.count += 1
                    continue
                asked[upload_id] = _Names(name)
                if len(asked) >= _ASKED_AT_ONCE:
                    suspects |= await self._unclaimed(asked)
                    asked = {}
                if len(suspects) >= _BATCH:
                    async for finding in self._confirmed(store, suspects):
                        yield finding
                    suspects = {}
            suspects |= await self._unclaimed(asked)
            async for finding in self._confirmed(store, suspects):
                yield finding

    async def _unclaimed(self, names: Mapping[str, _Names]) -> dict[str, _Names]:
        """Those of uploads that are no contents, and have not been created a moment ago."""
        claimed = await self._audit.claimed(list(names))
        rest = [name for name in names if name not in claimed]
        recorded = await self._uploads.known(rest)
        cleaned = await self._uploads.cleaned(rest)
        return {name: names[name] for name in rest if (name in cleaned if name in recorded else self._is_old(name))}

    def _is_old(self, upload_id: str) -> bool:
        """Whether what belongs to an upload without a record is a finding."""
        rules = self._rules
        return _age_seconds(upload_id) >= rules.unknown_seconds and not is_of_another(upload_id, rules.own, rules.cells)

    async def _confirmed(self, store: Store, suspects: Mapping[str, _Names]) -> AsyncIterator[Finding]:
        """Look at them again, after a while."""
        if not suspects:
            return
        parts = await self._audit.claimed_parts(list(suspects))
        names = {name: found for name, found in suspects.items() if name not in parts}
        if not names:
            return
        await asyncio.sleep(self._rules.recheck_seconds)
        for upload_id, found in (await self._unclaimed(names)).items():
            if not await self._is_kept(upload_id) and await _exists(store, found.first):
                others = f", and {found.count - 1} more of this upload" if found.count > 1 else ""
                reason = f"it belongs to no content and to no upload{others}"
                yield Finding(Fault.ORPHANED, store.name, upload_id, found.first, reason)

    async def _is_kept(self, upload_id: str) -> bool:
        """Whether what the upload has in the store is kept for an operator, or belongs to the final upload that it was
        joined to."""
        try:
            upload = await self._uploads.get(upload_id)
        except RequestError:
            return False
        if upload.keeps_stored:
            return True
        if upload.joined_to is None or not await self._uploads.known([upload.joined_to]):
            return False
        return not await self._uploads.cleaned([upload.joined_to])


async def _exists(store: Store, name: str) -> bool:
    async for found in store.list_keys(name):
        if found == name:
            return True
    return False


def _upload_of(name: str) -> str | None:
    """The upload that a name of `list_keys` belongs to; None: it is no name that Sluice makes for an upload."""
    if name.startswith(_SEGMENT):
        upload_id: str | None = name.removeprefix(_SEGMENT).partition("/")[0]
    else:
        upload_id = upload_of(name.removeprefix(_MULTIPART))
    try:
        return upload_id if upload_id and UUID(upload_id).version == _UUID_VERSION else None
    except ValueError:
        return None


def _age_seconds(upload_id: str) -> float:
    """Time since the upload was created, which its id contains (RFC 9562 section 5.7)."""
    return time.time() - (UUID(upload_id).int >> 80) / 1000
