"""The temp volume and what watches over it, made from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.bootstrap.redis import RedisParts
from pipeline.settings import Settings
from pipeline.uploads.admission import Admission
from pipeline.uploads.recovery import Recovery


@dataclass(frozen=True, slots=True)
class VolumeParts:
    """One temp volume, with the books that Redis keeps of it."""

    volume: DirectoryTempVolume
    journals: FileUploadJournals
    recovery: Recovery
    admission: Admission


def volume_parts(settings: Settings, redis: RedisParts) -> VolumeParts:
    """Raises OSError when the directory cannot be made."""
    durable = settings.durability == "fsync"
    volume = DirectoryTempVolume(settings.volume, settings.temp_dir, durable=durable)
    journals = FileUploadJournals(settings.temp_dir, durable=durable)
    recovery = Recovery(
        redis.board,
        redis.segments,
        redis.ledger,
        redis.queue,
        volume,
        journals,
        max(settings.direct_seconds, settings.upload_grant_seconds),
    )
    admission = Admission(redis.ledger, redis.board, volume, redis.queue, recovery, settings.temp_headroom_bytes)
    return VolumeParts(volume, journals, recovery, admission)
