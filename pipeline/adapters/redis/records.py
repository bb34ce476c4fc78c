"""Converts an upload's hash in Redis to and from `core.model.Upload`."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.core.access import DEFAULT_OWNER, Permit
from pipeline.core.journal import Journal
from pipeline.core.lifecycle import Status
from pipeline.core.model import ClientDigest, Deferred, NewUpload, Part, StageStatus, Upload
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport, needless
from pipeline.ports import Standing, UploadSnapshot


def to_fields(new: NewUpload) -> dict[str, str]:
    """The fields that never change; the scripts add status, times and stages."""
    arrived = new.source is not None or bool(new.parts)  # every byte is in the store from the beginning
    count = new.plan.count
    planned = new.deferred in (None, Deferred.LENGTH)
    fields = {
        "id": new.upload_id,
        "filename": new.filename,
        "size_bytes": str(new.size_bytes),
        "segment_bytes": str(new.segment_bytes),
        "segment_count": str(count if planned else 0),
        "content_type": new.content_type,
        "volume": new.volume,
        "store": new.store,
        "transport": str(new.transport),
        "owner": new.owner,
        "scope": new.scope,
        "fingerprint": new.fingerprint,
        "metadata": json.dumps(dict(new.metadata), ensure_ascii=False),
        **_progress(new.size_bytes if arrived else 0, count if arrived else 0),
    }
    if new.deferred:
        fields["deferred"] = str(new.deferred)
    if new.most_bytes:
        fields["most_bytes"] = str(new.most_bytes)
    if new.window_bytes:
        fields["window_bytes"] = str(new.window_bytes)
    if new.idempotency_key is not None:
        fields["idempotency_key"] = new.idempotency_key
    if new.permit:
        fields["permit"] = json.dumps(new.permit.to_data())
    if new.source:
        fields |= {f"source_{name}": value for name, value in asdict(new.source).items()}
    if new.parts:
        fields["parts"] = json.dumps([asdict(part) for part in new.parts])
    if new.concat:
        fields["concat"] = new.concat
    if new.traceparent:
        fields["traceparent"] = new.traceparent
    if new.digest:
        fields["digest"] = f"{new.digest.algorithm}:{b64encode(new.digest.value).decode()}"
    return fields


def recovered_fields(journal: Journal) -> dict[str, str]:
    """As `to_fields`, with the progress that the journal records."""
    fields = to_fields(journal.new)
    plan = journal.plan
    if journal.new.deferred is Deferred.LENGTH:
        fields["size_bytes"] = str(journal.least_bytes)
    if journal.received:
        fields["bytes_received"] = str(sum(map(plan.length, journal.received)))
        fields["segments_received"] = str(len(journal.received))
    if journal.completed:
        fields |= _progress(plan.size_bytes, plan.count)
    elif journal.stored:
        fields["bytes_stored"] = str(sum(map(plan.length, journal.stored)))
        fields["segments_stored"] = str(len(journal.stored))
    if journal.released or journal.expected:
        fields["bytes_released"] = str(sum(map(plan.length, journal.released)))
    if journal.session is not None:
        fields["target_session"] = journal.session
    if journal.ended and journal.ended.error:
        fields["error_code"], fields["error_message"] = journal.ended.error
    return fields


def _progress(size_bytes: int, count: int) -> dict[str, str]:
    """The counters of an upload of which these bytes have arrived and are stored."""
    return {
        "bytes_received": str(size_bytes),
        "bytes_stored": str(size_bytes),
        "segments_received": str(count),
        "segments_stored": str(count),
    }


def to_upload(fields: Mapping[str, str]) -> Upload:
    """Read a hash. A stage that it does not have is in the state that `upload_create.lua` would have recorded."""

    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    transport = Transport(fields.get("transport", Transport.GATEWAY))
    skipped = needless(transport, digest="digest" in fields)

    def stage(name: Stage) -> StageStatus:
        prefix = f"stage.{name}."
        unrecorded = StageState.SKIPPED if name in skipped else StageState.PENDING
        return StageStatus(
            state=StageState(fields.get(prefix + "state", unrecorded)),
            attempt=int(fields.get(prefix + "attempt", 0)),
            fencing_token=int(fields.get(prefix + "generation", 0)),
            started_at_ms=number(prefix + "started_at_ms"),
            finished_at_ms=number(prefix + "finished_at_ms"),
            worker=fields.get(prefix + "worker"),
            error_code=fields.get(prefix + "error_code"),
            outages=int(fields.get(prefix + "outages", 0)),
            waits_for=fields.get(prefix + "waits_for"),
            since_ms=number(prefix + "since_ms"),
            queued_at_ms=number(prefix + "queued_at_ms"),
            failures=int(fields.get(prefix + "failures", 0)),
            takeovers=int(fields.get(prefix + "takeovers", 0)),
            outage_since_ms=number(prefix + "away_since_ms"),
            outage_dependency=fields.get(prefix + "away_dependency"),
        )

    digest = None
    if "digest" in fields:
        algorithm, _, value = fields["digest"].partition(":")
        digest = ClientDigest(algorithm, b64decode(value))
    source = None
    if "source_key" in fields:
        source = ObjectVersion(fields["source_container"], fields["source_key"], fields["source_etag"])
    permit = Permit.from_data(json.loads(fields["permit"])) if "permit" in fields else None
    deferred = Deferred(fields["deferred"]) if "deferred" in fields else None
    return Upload(
        upload_id=fields["id"],
        filename=fields["filename"],
        size_bytes=int(fields["size_bytes"]),
        segment_bytes=int(fields["segment_bytes"]),
        content_type=fields["content_type"],
        volume=fields["volume"],
        store=fields["store"],
        status=Status(fields["status"]),
        status_since_ms=int(fields["status_since_ms"]),
        created_at_ms=int(fields["created_at_ms"]),
        updated_at_ms=int(fields["updated_at_ms"]),
        digest=digest,
        metadata=json.loads(fields["metadata"]),
        bytes_received=int(fields["bytes_received"]),
        tail_bytes=int(fields.get("tail_bytes", 0)),
        bytes_stored=int(fields["bytes_stored"]),
        segments_received=int(fields["segments_received"]),
        segments_stored=int(fields["segments_stored"]),
        target_session=fields.get("target_session"),
        error_code=fields.get("error_code"),
        error_message=fields.get("error_message"),
        content_id=fields.get("content_id"),
        released_at_ms=number("released_at_ms"),
        transport=transport,
        source=source,
        granted_at_ms=number("granted_at_ms"),
        grants_until_ms=number("grants_until_ms"),
        recovered_at_ms=number("recovered_at_ms"),
        window_bytes=number("window_bytes"),
        bytes_released=number("bytes_released"),
        owner=fields.get("owner", DEFAULT_OWNER),
        scope=fields.get("scope", ""),
        permit=permit,
        idempotency_key=fields.get("idempotency_key"),
        fingerprint=fields.get("fingerprint", ""),
        deferred=deferred,
        granted_segments=int(fields["segment_count"]) if deferred else 0,
        most_bytes=int(fields.get("most_bytes", 0)),
        parts=tuple(Part(**part) for part in json.loads(fields.get("parts", "[]"))),
        concat=fields.get("concat", ""),
        joined_to=fields.get("joined_to"),
        traceparent=fields.get("traceparent"),
        wrong_digests=tuple(map(int, fields["wrong_digests"].split(","))) if "wrong_digests" in fields else (),
        stages={name: stage(name) for name in Stage},
        reached_ms={status: moment for status in Status if (moment := number(f"{status}_at_ms")) is not None},
    )


def from_flat(flat: Sequence[str]) -> dict[str, str]:
    """A hash as scripts return it: field, value, field, value, ..."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def to_snapshot(item: Mapping[str, Any]) -> UploadSnapshot:
    """Read an upload as `upload_snapshots.lua` returns it."""
    standing = item.get("standing")
    return UploadSnapshot(
        upload=to_upload(from_flat(item["fields"])),
        standing=Standing(standing["queue_position"], standing.get("lease_until_ms")) if standing else None,
        deadline_ms=item.get("deadline_ms"),
        received=_numbers(item["received"]),
        wanted=_numbers(item["wanted"]),
        media=json.loads(item["media"]) if item.get("media") else None,
    )


def _numbers(joined: str) -> frozenset[int]:
    return frozenset(map(int, joined.split(","))) if joined else frozenset()
