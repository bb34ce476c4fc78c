"""Paths below the directory of a store, and how any key becomes a path that stays below it.

    objects/<key>                          a plain object: only its bytes, so that a person can open it
    manifests/<key>                        a manifest: JSON that lists segments
    segments/<upload>/<number>.<md5>       a segment; the digest tells which bytes it holds without reading them
    incoming/<random name>                 a file that is being written

Guarantee: no key leads out of the directory, and no two keys share a path. Everything except letters, digits, `_`, `-`
and `~` is percent-encoded, including dots and slashes, so no name is `..`, hidden or absolute. An encoded key longer
than 200 characters is cut into directories whose names end in `+`, which no encoded name contains.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.core.errors import StoreError

# Most filesystems take 255 bytes per name.
_NAME_CHARACTERS = 200
_KEY_BYTES = 1024


def encode(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")


@dataclass(frozen=True, slots=True)
class FilesystemLayout:
    """The paths of one store."""

    root: Path

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def segments(self) -> Path:
        return self.root / "segments"

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    def object_path(self, key: str) -> Path:
        """Raises StoreError STORE_REJECTED for a key that no store accepts."""
        return self.objects / _key_path(key)

    def manifest_path(self, key: str) -> Path:
        return self.manifests / _key_path(key)

    def upload_path(self, upload_id: str) -> Path:
        return self.segments / encode(upload_id)

    def segment_path(self, upload_id: str, number: int, md5_hex: str) -> Path:
        return self.upload_path(upload_id) / f"{number:08d}.{encode(md5_hex)}"

    def segment_name(self, path: Path) -> str:
        """`UPLOAD/00000001.<md5>`, as in listings."""
        return f"{unquote(path.parent.name)}/{path.name}"

    def named_segment_path(self, name: str) -> Path:
        upload_id, _, file_name = name.rpartition("/")
        number, _, md5_hex = file_name.partition(".")
        return self.upload_path(upload_id) / f"{encode(number)}.{encode(md5_hex)}"

    def key_of(self, path: Path, kind: Path) -> str:
        """The key of an object or a manifest; `kind`: `objects` or `manifests`."""
        return unquote("".join(part.removesuffix("+") for part in path.relative_to(kind).parts))


def _key_path(key: str) -> Path:
    if not key or len(key.encode()) > _KEY_BYTES:
        raise StoreError("STORE_REJECTED", reason=f"an object name has 1 to {_KEY_BYTES} bytes")
    encoded = encode(key)
    names = [encoded[start : start + _NAME_CHARACTERS] for start in range(0, len(encoded), _NAME_CHARACTERS)]
    return Path(*(f"{name}+" for name in names[:-1]), names[-1])
