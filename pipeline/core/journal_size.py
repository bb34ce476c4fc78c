"""What the journal of an upload occupies on the temp volume.

Guarantee: an upload that reserves `journal_bytes` beside its file has room for every entry of an upload of which each
segment is received once, stored once and released once. So an admitted upload continues on a full disk.
"""

from __future__ import annotations

from pipeline.core.journal import NO_SLOTS, write
from pipeline.core.journal_entries import beginning
from pipeline.core.model import NewUpload
from pipeline.core.transports import TRANSPORTS
from pipeline.core.windows import on_disk_bytes

# The entries of a segment that is received once, stored once with an etag of 64 characters, or of 32 and announced
# before, and released by the admission worker, which repeats that it is stored.
_SEGMENT_ENTRIES_BYTES = 320
# The store's session, the completion and the end.
_FIXED_ENTRIES_BYTES = 2048


def journal_bytes(new: NewUpload) -> int:
    """The bytes that are set aside for an upload's journal when it begins, in whole blocks of the disk. An upload whose
    bytes are in the store receives no segment here: a direct upload journals its segments only once it is complete."""
    in_store = TRANSPORTS[new.transport].in_store
    segments = 0 if in_store else new.plan.count
    begun = len(NO_SLOTS) + len(write(beginning(new)))
    return on_disk_bytes(begun + _FIXED_ENTRIES_BYTES + _SEGMENT_ENTRIES_BYTES * segments)
