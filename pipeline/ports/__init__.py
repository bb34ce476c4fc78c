"""The ports: what the stages need from the world, as small Protocols. Each method names the errors it raises and says
whether it may be called twice.

Guarantee: stages depend on these and on `core` alone. Every implementation of a port passes the port's contract suite.
"""

from pipeline.ports.boards import (
    EndedList,
    EventFeed,
    PendingSegments,
    SegmentBoard,
    SegmentVerdict,
    UploadBoard,
    UploadSnapshot,
)
from pipeline.ports.contents import CachePurge, ContentRepository, DeletionRepository
from pipeline.ports.journal import UploadJournals
from pipeline.ports.media import MediaProbe, Thumbnailer
from pipeline.ports.object_store import (
    DelegatedTokens,
    Drafts,
    ObjectReader,
    ObjectSource,
    ObjectStore,
    PresignedDownloads,
    PresignedUploads,
    SegmentSource,
    Store,
    Stores,
    TransferSessions,
)
from pipeline.ports.reservations import AdmissionOutcome, ReservationLedger, Standing, VolumeSnapshot
from pipeline.ports.stages import OverdueStage, StageBoard, StageQueue, StageStart
from pipeline.ports.temp_volume import TempVolume

__all__ = [
    "AdmissionOutcome",
    "CachePurge",
    "ContentRepository",
    "DelegatedTokens",
    "DeletionRepository",
    "Drafts",
    "EndedList",
    "EventFeed",
    "MediaProbe",
    "ObjectReader",
    "ObjectSource",
    "ObjectStore",
    "OverdueStage",
    "PendingSegments",
    "PresignedDownloads",
    "PresignedUploads",
    "ReservationLedger",
    "SegmentBoard",
    "SegmentSource",
    "SegmentVerdict",
    "StageBoard",
    "StageQueue",
    "StageStart",
    "Standing",
    "Store",
    "Stores",
    "TempVolume",
    "Thumbnailer",
    "TransferSessions",
    "UploadBoard",
    "UploadJournals",
    "UploadSnapshot",
    "VolumeSnapshot",
]
