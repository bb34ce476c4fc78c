"""Objects and segments below a directory, by blocking calls: the store runs each of them in a thread.

Guarantee: a manifest names only segments that existed with their length when it was written. Removal starts with the
manifest. Every file is reached by `Beneath`, which follows no link.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.adapters.object_store.filesystem.beneath import Beneath
from pipeline.adapters.object_store.filesystem.files import Digests, Draft, identity, md5_of_file
from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout
from pipeline.adapters.object_store.filesystem.manifest import Manifest, ManifestEntry, read_manifest
from pipeline.adapters.object_store.integrity import etag_of_etags
from pipeline.adapters.object_store.names import SEGMENT_PREFIX
from pipeline.core.errors import StoreError
from pipeline.core.stored_objects import OWN_PREFIX, ObjectTarget, StoredSegment, upload_of

# A range of a file: path, offset, length.
Piece = tuple[Path, int, int]


class Tree:
    """The files of one store."""

    def __init__(self, layout: FilesystemLayout, fsync: bool) -> None:
        self.layout = layout
        self.files = Beneath(layout.root)
        self._fsync = fsync
        self._digests = Digests(self.files)

    def draft(self) -> Draft:
        return Draft(self.files, self.layout.incoming, self._fsync)

    def publish_bytes(self, body: bytes, path: Path) -> None:
        draft = self.draft()
        try:
            draft.write(body)
            draft.publish(path)
        finally:
            draft.discard()

    def put_object(self, body: bytes, key: str, md5_hex: str) -> str:
        """The etag of the new object."""
        draft = self.draft()
        try:
            draft.write(body)
            self.publish_object(draft, key)
        finally:
            draft.discard()
        return md5_hex if _is_own(key) else identity(self.files.stat(self.layout.object_path(key)))

    def publish_object(self, draft: Draft, key: str) -> None:
        """Give the draft the name `key`, and remove a manifest of that name."""
        draft.publish(self.layout.object_path(key))
        self._unlink(self.layout.manifest_path(key), self.layout.manifests)

    def publish_segment(self, draft: Draft, target: ObjectTarget, number: int, md5_hex: str) -> None:
        """Give the draft the segment's name, and remove files of the same number with other bytes."""
        path = self.layout.segment_path(target.upload_id, number, md5_hex)
        draft.publish(path)
        for other in self._segments(target.upload_id, number):
            if other != path:
                self.files.unlink(other)

    def verify_plain(self, target: ObjectTarget, segment: StoredSegment) -> str:
        """The etag of a plain object, which must be the segment that was stored. Raises StoreError MANIFEST_REFUSED."""
        path = self.layout.object_path(target.key)
        try:
            found = md5_of_file(self.files, path)
            etag = segment.etag if _is_own(target.key) else identity(self.files.stat(path))
        except FileNotFoundError as error:
            raise StoreError("MANIFEST_REFUSED", reason=f"{target.key} does not exist", segments=[1]) from error
        if found != (segment.size_bytes, segment.etag):
            raise StoreError("MANIFEST_REFUSED", reason=f"{target.key} is not what was stored", segments=[1])
        return etag

    def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> str:
        """Write the manifest and return its etag. Raises StoreError MANIFEST_REFUSED."""
        missing = [segment.number for segment in segments if not self._has(target, segment)]
        if missing:
            reason = f"segments {missing[:10]} are not what was stored"
            raise StoreError("MANIFEST_REFUSED", reason=reason, segments=missing)
        entries = tuple(
            ManifestEntry(
                str(self._segment_path(target, segment).relative_to(self.layout.segments)),
                segment.size_bytes,
                segment.etag,
            )
            for segment in segments
        )
        etag = etag_of_etags(segments)
        manifest = Manifest(target.content_type, target.plan.size_bytes, etag, entries)
        self.publish_bytes(manifest.to_json(), self.layout.manifest_path(target.key))
        self._unlink(self.layout.object_path(target.key), self.layout.objects)
        return etag

    def head(self, key: str) -> tuple[int, str]:
        """Length and etag of an object. Of a plain file that Sluice wrote, the etag is the MD5 of its current bytes; of
        any other it is its identity, since a file that somebody else placed here may be too large to be hashed while a
        request waits. Raises StoreError STORE_OBJECT_MISSING."""
        manifest = self._manifest(key)
        if manifest is not None:
            return manifest.size_bytes, manifest.etag
        path = self.layout.object_path(key)
        try:
            if _is_own(key):
                return md5_of_file(self.files, path)
            facts = self.files.stat(path)
        except FileNotFoundError as error:
            raise StoreError("STORE_OBJECT_MISSING", key=key) from error
        return facts.st_size, identity(facts)

    def pieces(self, key: str, first: int, last: int | None, etag: str | None = None) -> list[Piece]:
        """The ranges of files that hold bytes `first` to `last`. Raises StoreError STORE_OBJECT_MISSING,
        OBJECT_CHANGED, STORE_REJECTED."""
        whole = self._whole(key)
        if etag is not None and self._etag(key) != etag:
            raise StoreError("OBJECT_CHANGED", key=key)
        size_bytes = sum(length for _, _, length in whole)
        end = size_bytes if last is None else min(last + 1, size_bytes)
        if first and first >= size_bytes:
            raise StoreError("STORE_REJECTED", reason=f"{key} has {size_bytes} bytes; byte {first} was requested")
        pieces: list[Piece] = []
        start = 0
        for path, _, length in whole:
            begin, stop = max(first, start), min(end, start + length)
            if begin < stop:
                pieces.append((path, begin - start, stop - begin))
            start += length
        return pieces

    def segment_piece(self, target: ObjectTarget, number: int, first: int, last: int, etag: str | None = None) -> Piece:
        """Bytes `first` to `last` of a stored segment. Raises StoreError STORE_OBJECT_MISSING, OBJECT_CHANGED."""
        if target.is_plain:
            found = [self.layout.object_path(target.key)]
        else:
            place = target.place(number)
            found = self._segments(place.upload_id, place.number)
        for path in filter(self.files.has, found):
            of_version = self._etag(target.key) if target.is_plain and etag else path.suffix[1:]
            if etag in (None, of_version):
                return (path, first, last - first + 1)
        if any(map(self.files.has, found)):
            raise StoreError("OBJECT_CHANGED", key=f"segment {number} of {target.upload_id}")
        raise StoreError("STORE_OBJECT_MISSING", key=f"segment {number} of {target.upload_id}")

    def remove_object(self, key: str) -> list[Path]:
        """Remove the manifest or the plain file. Returns the segments that the manifest named; of one that cannot be
        read, the segments of its upload."""
        path = self.layout.manifest_path(key)
        try:
            manifest = self._manifest(key)
            segments = [self._entry_path(entry) for entry in manifest.segments] if manifest else []
        except StoreError:
            upload_id = upload_of(key)
            segments = [] if upload_id is None else self._segments(upload_id)
        self._unlink(path, self.layout.manifests)
        self._unlink(self.layout.object_path(key), self.layout.objects)
        return segments

    def remove(self, name: str) -> None:
        """Remove what a listing calls `name`."""
        if name.startswith(SEGMENT_PREFIX):
            self.remove_segments([self.layout.named_segment_path(name.removeprefix(SEGMENT_PREFIX))])
        else:
            self.remove_segments(self.remove_object(name))

    def remove_segments(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._unlink(path, self.layout.segments)

    def remove_upload(self, target: ObjectTarget) -> None:
        self.remove_object(target.key)
        for upload_id in target.prefixes:
            self._remove_segments_of(upload_id)

    def _remove_segments_of(self, upload_id: str) -> None:
        while True:
            try:
                self.files.remove_tree(self.layout.upload_path(upload_id))
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise  # ENOTEMPTY: another process is still writing into it

    def remove_drafts(self, idle_seconds: float) -> int:
        """Remove drafts that have not been written to for `idle_seconds`. Returns how many."""
        oldest = time.time() - idle_seconds
        removed = 0
        for name in self.files.names(self.layout.incoming):
            path = self.layout.incoming / name
            try:
                if self.files.stat(path).st_mtime < oldest:
                    self.files.unlink(path)
                    removed += 1
            except FileNotFoundError:
                continue  # published meanwhile, or removed by another process
        return removed

    def names(self, prefix: str) -> Iterator[str]:
        """Sorted, objects first."""
        layout = self.layout
        keys = (
            layout.key_of(path, kind) for kind in (layout.objects, layout.manifests) for path in self.files.walk(kind)
        )
        yield from sorted(key for key in keys if key.startswith(prefix))
        for path in sorted(self.files.walk(layout.segments)):
            name = SEGMENT_PREFIX + self.layout.segment_name(path)
            if name.startswith(prefix):
                yield name

    def _whole(self, key: str) -> list[Piece]:
        manifest = self._manifest(key)
        if manifest is not None:
            return [(self._entry_path(entry), 0, entry.size_bytes) for entry in manifest.segments]
        path = self.layout.object_path(key)
        try:
            return [(path, 0, self.files.stat(path).st_size)]
        except FileNotFoundError as error:
            raise StoreError("STORE_OBJECT_MISSING", key=key) from error

    def _etag(self, key: str) -> str:
        """As `head`, but the digest of a file that has not been written to since is not computed again."""
        manifest = self._manifest(key)
        if manifest is not None:
            return manifest.etag
        path = self.layout.object_path(key)
        try:
            return self._digests.md5(path) if _is_own(key) else identity(self.files.stat(path))
        except FileNotFoundError as error:
            raise StoreError("STORE_OBJECT_MISSING", key=key) from error

    def _manifest(self, key: str) -> Manifest | None:
        return read_manifest(self.files, self.layout.manifest_path(key))

    def _segments(self, upload_id: str, number: int | None = None) -> list[Path]:
        """The segments of an upload, or those of one number."""
        directory = self.layout.upload_path(upload_id)
        start = "" if number is None else f"{number:08d}."
        return [directory / name for name in self.files.names(directory) if name.startswith(start)]

    def _entry_path(self, entry: ManifestEntry) -> Path:
        """The path of a segment. Raises StoreError STORE_REJECTED when a manifest names a file outside `segments/`."""
        upload, _, name = entry.path.rpartition("/")
        path = self.layout.segments / upload / name
        if not upload or "/" in upload or ".." in (upload, name):
            raise StoreError("STORE_REJECTED", reason=f"a manifest names {entry.path!r}")
        return path

    def _segment_path(self, target: ObjectTarget, segment: StoredSegment) -> Path:
        place = target.place(segment.number)
        return self.layout.segment_path(place.upload_id, place.number, segment.etag)

    def _has(self, target: ObjectTarget, segment: StoredSegment) -> bool:
        try:
            return self.files.stat(self._segment_path(target, segment)).st_size == segment.size_bytes
        except FileNotFoundError:
            return False

    def _unlink(self, path: Path, up_to: Path) -> None:
        self.files.unlink(path)
        self.files.remove_empty(path.parent, up_to)


def _is_own(key: str) -> bool:
    """Whether Sluice stores what has this name. Objects below it are never imported."""
    return key.startswith(OWN_PREFIX)
