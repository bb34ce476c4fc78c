"""A cell's temp volume, and the services that keep it usable, made from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.bootstrap.redis import RedisParts
from pipeline.settings import Settings
from pipeline.uploads.admission import Admission, AdmissionRules
from pipeline.uploads.cell import CellState
from pipeline.uploads.lookup import ExpiryRules
from pipeline.uploads.record import UploadRecord
from pipeline.uploads.recovery import Recovery, RecoveryWriters
from pipeline.uploads.release import EarlyRelease


@dataclass(frozen=True, slots=True)
class VolumeParts:
    """One temp volume with the records of its uploads."""

    cell: CellState
    recovery: Recovery
    admission: Admission
    release: EarlyRelease
    expiry: ExpiryRules


def volume_parts(settings: Settings, redis: RedisParts) -> VolumeParts:
    """Raises OSError if the directory cannot be created."""
    durable = settings.durability == "fsync"
    volume = DirectoryTempVolume(settings.volume, settings.temp_dir, durable=durable)
    journals = FileUploadJournals(settings.temp_dir, durable=durable)
    cell = CellState(
        uploads=redis.board,
        segments=redis.segments,
        journals=journals,
        record=UploadRecord(redis.board, redis.board, redis.segments, redis.appends, journals),
        ledger=redis.ledger,
        queue=redis.queue,
        volume=volume,
    )
    writers = RecoveryWriters(redis.board, redis.segments, redis.appends, redis.board, journals)
    # No direct upload expires while one of its grants is valid.
    direct_seconds = max(settings.direct_seconds, settings.upload_grant_seconds)
    release = EarlyRelease(cell)
    recovery = Recovery(cell, writers, release, direct_seconds)
    rules = AdmissionRules(settings.temp_budget_bytes, settings.temp_headroom_bytes, settings.temp_share)
    admission = Admission(cell, recovery, rules)
    expiry = ExpiryRules(
        waiting_ms=int(settings.waiting_seconds * 1000),
        direct_ms=int(direct_seconds * 1000),
        held_ms=int(settings.upload_deadline_seconds * 1000),
    )
    return VolumeParts(cell, recovery, admission, release, expiry)
