"""The state of an upload between two runs of `sluice upload`: one small file per upload.

Guarantee: a state file is complete or absent (it is written under another name, then renamed). It is written before
the upload is created, with the Idempotency-Key of that request. So the next run continues after a kill at any moment
and never creates a second upload of the same file. When the file has changed, a new upload replaces the old one, and
the old one's state is returned so that it can be cancelled.

The files are not flushed to the disk: after a power failure, a state may be missing and its file is sent again from the
start. Where the directory cannot be written, uploads work without states, and `problem` says why.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.cli.names import shown

FORGET_AFTER_SECONDS: Final = 14 * 86_400
"""No server keeps an unfinished upload for this long."""


@dataclass(frozen=True, slots=True)
class UploadIdentity:
    """Two runs with equal identities continue the same upload: same file, server, content type and metadata."""

    path: Path
    size_bytes: int
    modified_ns: int
    server: str
    content_type: str
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, path: Path, stat: os.stat_result, server: str, content_type: str, metadata: Mapping[str, str]) -> Self:
        return cls(path.resolve(), stat.st_size, stat.st_mtime_ns, server, content_type, metadata)

    @property
    def name(self) -> str:
        """The name of the state file. It does not depend on the file's version, so there is one state per file."""
        facts = [str(self.path), self.server, self.content_type, sorted(self.metadata.items())]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


class ResumeState(BaseModel):
    """One state file. `upload_id` is None until the gateway has responded."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    size_bytes: int
    modified_ns: int
    server: str
    idempotency_key: str
    upload_id: str | None = None

    def is_of(self, identity: UploadIdentity) -> bool:
        """Whether the file has the same size and modification time as when the state was written."""
        return (self.size_bytes, self.modified_ns) == (identity.size_bytes, identity.modified_ns)


class ResumeStates:
    """The state files of one user, in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.problem: str | None = None

    @classmethod
    def of_user(cls) -> Self:
        """In $XDG_STATE_HOME/sluice/uploads (XDG Base Directory Specification 0.8), by default below ~/.local/state."""
        base = os.environ.get("XDG_STATE_HOME") or ""
        if Path(base).is_absolute():
            return cls(Path(base) / "sluice" / "uploads")
        try:
            return cls(Path.home() / ".local" / "state" / "sluice" / "uploads")
        except RuntimeError:  # a user without an entry in the password database, as in many containers
            states = cls(Path(os.devnull))
            states.problem = "this user has no home directory; set XDG_STATE_HOME"
            return states

    def open(self, identity: UploadIdentity) -> tuple[ResumeState, ResumeState | None]:
        """(state, replaced): the state that an earlier run left, or a new one.

        `replaced` is the state of the upload of an earlier version of the file, which cannot be completed any more;
        usually None.
        """
        try:
            found = ResumeState.model_validate_json(self._file(identity.name).read_bytes())
        except (OSError, ValidationError):
            return self.begin(identity), None
        return (found, None) if found.is_of(identity) else (self.begin(identity), found)

    def begin(self, identity: UploadIdentity) -> ResumeState:
        """A new state with a new Idempotency-Key. Replaces an existing state."""
        state = ResumeState(
            name=identity.name,
            path=shown(identity.path),
            size_bytes=identity.size_bytes,
            modified_ns=identity.modified_ns,
            server=identity.server,
            idempotency_key=str(uuid.uuid4()),
        )
        self._write(state)
        return state

    def keep_id(self, state: ResumeState, upload_id: str) -> ResumeState:
        """Record the id that the gateway gave the upload."""
        kept = state.model_copy(update={"upload_id": upload_id})
        self._write(kept)
        return kept

    def forget(self, state: ResumeState) -> None:
        """Delete the state, when the upload has ended. Idempotent."""
        with contextlib.suppress(OSError):
            self._file(state.name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Create the directory, and delete states that are too old to be continued."""
        if self.problem is not None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            files = list(self._directory.iterdir())
        except OSError as error:
            self.problem = _reason(error)
            return
        for file in files:
            with contextlib.suppress(OSError):  # another run deleted it
                if time.time() - file.stat().st_mtime > FORGET_AFTER_SECONDS:
                    file.unlink()

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _write(self, state: ResumeState) -> None:
        if self.problem is not None:
            return
        unfinished = self._directory / f"{state.name}.{os.getpid()}.tmp"
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished.write_text(state.model_dump_json(), encoding="utf-8")
            unfinished.replace(self._file(state.name))
        except OSError as error:
            self.problem = _reason(error)


def _reason(error: OSError) -> str:
    return f"{shown(error.filename or 'the state directory')}: {error.strerror}"
