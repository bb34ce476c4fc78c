"""Creating an upload while Redis loses its data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.core.errors import DependencyUnavailable, RequestError
from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload, Upload
from pipeline.core.stored_objects import ObjectTarget
from pipeline.uploads.create import CreationRules, UploadCreation
from pipeline.uploads.lookup import ExpiryRules, UploadLookup
from pipeline.uploads.target import open_target

pytestmark = pytest.mark.unit

UPLOAD = Upload("u", "a.mp4", 10, 10, "video/mp4", "v", "s", Status.WAITING, 0, 0, 0)
UNKNOWN = RequestError("UPLOAD_NOT_FOUND", upload_id="u")


class LosesUploads:
    """Creates uploads and has no record of them afterwards. `journal`: whether the temp volume still has theirs."""

    def __init__(self, *, journal: bool) -> None:
        self.journal = journal
        self.aborted: list[ObjectTarget] = []

    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        return UPLOAD, True

    async def snapshot(self, upload_id: str) -> None:
        raise UNKNOWN

    async def read(self, upload_id: str) -> object | None:
        return self.journal or None

    async def keep_session(self, upload_id: str, session: str) -> str:
        raise UNKNOWN

    # -- admission and store
    async def require_open(self) -> None: ...

    async def request(self, upload: Upload) -> None: ...

    async def begin(self, target: ObjectTarget) -> str:
        return "session"

    async def abort(self, target: ObjectTarget) -> None:
        self.aborted.append(target)


@pytest.mark.parametrize(("journal", "code"), [(True, "UPLOAD_RECOVERING"), (False, "REDIS_UNAVAILABLE")])
async def test_the_client_is_asked_to_repeat_its_request(journal: bool, code: str) -> None:
    redis = cast("Any", LosesUploads(journal=journal))
    cell = cast("Any", SimpleNamespace(uploads=redis, journals=redis, record=redis))
    lookup = UploadLookup(redis, redis, ExpiryRules(1, 1, 1))
    creation = UploadCreation(cell, lookup, redis, redis, CreationRules("s", "v", 3, 10, 100))
    with pytest.raises(DependencyUnavailable) as refused:
        await creation.register(NewUpload.of(UPLOAD))
    assert (refused.value.code, refused.value.retryable, refused.value.http_status) == (code, True, 503)


async def test_a_session_that_cannot_be_recorded_is_aborted() -> None:
    redis = cast("Any", LosesUploads(journal=True))
    with pytest.raises(RequestError):
        await open_target(UPLOAD, redis, redis)
    assert [target.session for target in redis.aborted] == ["session"]
