"""A manifest of the filesystem store: JSON that a person can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.adapters.object_store.filesystem.beneath import Beneath
from pipeline.core.errors import StoreError

# A manifest of 10,000 segments has less than 2 MiB.
_LONGEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A segment: its path below `segments/`, its length, its MD5."""

    path: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The segments of a sealed object; `etag` is the MD5 over their MD5s in hex."""

    content_type: str
    size_bytes: int
    etag: str
    segments: tuple[ManifestEntry, ...]

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()


def read_manifest(files: Beneath, path: Path) -> Manifest | None:
    """None when the file does not exist. Raises StoreError STORE_REJECTED when it is not a manifest."""
    try:
        with files.open(path) as file:
            whole: Any = json.loads(file.read(_LONGEST_BYTES))
        return Manifest(
            content_type=str(whole["content_type"]),
            size_bytes=_size(whole["size_bytes"]),
            etag=str(whole["etag"]),
            segments=tuple(
                ManifestEntry(str(entry["path"]), _size(entry["size_bytes"]), str(entry["etag"]))
                for entry in whole["segments"]
            ),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError("STORE_REJECTED", reason=f"{path.name} is not a manifest: {error!r}") from error


def _size(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no number of bytes")
    return value
