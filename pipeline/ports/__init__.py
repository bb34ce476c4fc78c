"""The ports: what services need from the outside, as small Protocols. Each method names the errors it raises and says
whether it is idempotent.

Guarantee: services depend on these and on `core` alone. Every implementation of a port passes the port's contract
suite. `ports.recording` is not re-exported: only the record and recovery may change the state of an upload.
"""

from pipeline.ports.capabilities import KnownStores, PlainClient, PlainResponse
from pipeline.ports.contents import CachePurge, ContentRepository, DeletionRepository
from pipeline.ports.media import ByteSource, Frame, MediaReader, Reading
from pipeline.ports.notifications import SignedMessages
from pipeline.ports.object_store import (
    ContentTypes,
    DelegatedTokens,
    Drafts,
    ObjectReader,
    ObjectSource,
    ObjectStore,
    PresignedDownloads,
    PresignedUploads,
    SegmentReads,
    SegmentSource,
    Store,
    Stores,
    TransferSessions,
)
from pipeline.ports.overview import CellOverview, Samples
from pipeline.ports.reservations import AdmissionOutcome, Allocation, ReservationLedger, Standing, VolumeSnapshot
from pipeline.ports.stages import (
    HeldSegment,
    OverdueStage,
    RecordCheck,
    RetriedStage,
    StageIdle,
    StageQueue,
    StageReads,
    StageResults,
    StageRetries,
    StageRuns,
    StageStart,
    StageWatch,
)
from pipeline.ports.temp_volume import TempFiles, TempVolume, VolumeDisk
from pipeline.ports.uploads import (
    AppendBegun,
    AppendReader,
    AppendTaken,
    EndedList,
    EventFeed,
    FoundUploads,
    JournalReader,
    PendingSegments,
    SegmentReader,
    SegmentVerdict,
    UploadReader,
    UploadSnapshot,
)

__all__ = [
    "AdmissionOutcome",
    "Allocation",
    "AppendBegun",
    "AppendReader",
    "AppendTaken",
    "ByteSource",
    "CachePurge",
    "CellOverview",
    "ContentRepository",
    "ContentTypes",
    "DelegatedTokens",
    "DeletionRepository",
    "Drafts",
    "EndedList",
    "EventFeed",
    "FoundUploads",
    "Frame",
    "HeldSegment",
    "JournalReader",
    "KnownStores",
    "MediaReader",
    "ObjectReader",
    "ObjectSource",
    "ObjectStore",
    "OverdueStage",
    "PendingSegments",
    "PlainClient",
    "PlainResponse",
    "PresignedDownloads",
    "PresignedUploads",
    "Reading",
    "RecordCheck",
    "ReservationLedger",
    "RetriedStage",
    "Samples",
    "SegmentReader",
    "SegmentReads",
    "SegmentSource",
    "SegmentVerdict",
    "SignedMessages",
    "StageIdle",
    "StageQueue",
    "StageReads",
    "StageResults",
    "StageRetries",
    "StageRuns",
    "StageStart",
    "StageWatch",
    "Standing",
    "Store",
    "Stores",
    "TempFiles",
    "TempVolume",
    "TransferSessions",
    "UploadReader",
    "UploadSnapshot",
    "VolumeDisk",
    "VolumeSnapshot",
]
