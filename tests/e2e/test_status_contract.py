"""What a running cell writes to Redis fits the contract in schemas/status.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.adapters.redis.reads import hash_all
from pipeline.core.stages import Stage
from schemas.status import (
    EventFields,
    OwnerFields,
    StageCounters,
    StageFields,
    UploadFields,
    VolumeFields,
    VolumeSampleFields,
    WorkerFields,
)
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample

pytestmark = pytest.mark.e2e


def _check(model: type[BaseModel], fields: Mapping[str, Any]) -> None:
    """Every field is documented and of its type; the models refuse unknown fields."""
    model.model_validate(fields, strict=False)


def _stages(fields: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        if match := re.fullmatch(r"stage\.(\w+)\.(\w+)", name):
            found.setdefault(match[1], {})[match[2]] = value
    return found


async def test_every_key_and_field_is_documented(cell: Cell) -> None:
    ready = await cell.upload(sample("mp4").read_bytes(), metadata={"a": "b"})
    wrong = b"nothing" * (SEGMENT_BYTES // 4)
    failed = await cell.create(len(wrong))
    await cell.put_all(failed, wrong)
    await cell.until(failed["id"], "failed")
    await cell.until_clean()

    for upload_id in (ready["id"], failed["id"]):
        fields = await hash_all(cell.redis, cell.keys.upload(upload_id))
        stages = _stages(fields)
        assert set(stages) == {"transfer", "seal", "assemble", "probe", "thumbnail", "persist"}
        for stage in stages.values():
            _check(StageFields, stage)
        _check(UploadFields, {name: value for name, value in fields.items() if not name.startswith("stage.")})

    waiting = await cell.create(10 * cell.settings.temp_budget_bytes // 8)
    _check(OwnerFields, await hash_all(cell.redis, cell.keys.owner("default")))
    day = int((await cell.redis.time())[0]) // 86_400
    assert int(await cell.redis.get(f"{cell.keys.prefix}owner-day:{day}:default")) >= waiting["size"]

    _check(VolumeFields, await hash_all(cell.redis, cell.keys.volume(cell.settings.volume)))

    async def worker_is_known() -> bool:
        return bool([key async for key in cell.redis.scan_iter(f"{cell.keys.prefix}worker:*")])

    await eventually(worker_is_known, 20, lambda: "a worker's record")
    async for key in cell.redis.scan_iter(f"{cell.keys.prefix}worker:*"):
        _check(WorkerFields, await hash_all(cell.redis, key))
        assert await cell.redis.zscore(cell.keys.workers, key.removeprefix(f"{cell.keys.prefix}worker:")) is not None

    async def is_sampled() -> bool:
        return bool(await cell.redis.zcard(cell.keys.samples(cell.settings.volume)))

    await eventually(is_sampled, 20, lambda: "a sample")
    for item in await cell.redis.zrange(cell.keys.samples(cell.settings.volume), 0, -1):
        _check(VolumeSampleFields, json.loads(item))
    for counters in (
        await hash_all(cell.redis, cell.keys.stages),
        *map(json.loads, await cell.redis.zrange(cell.keys.stage_samples, 0, -1)),
    ):
        for name, value in counters.items():
            stage, _, counter = name.partition(".")
            if name != "at_ms":
                assert stage in set(Stage)
                _check(StageCounters, {counter: value})

    entries = await cell.redis.xrange(cell.keys.events)
    for _, entry in entries:
        _check(EventFields, entry)
    states = [entry["value"] for _, entry in entries if entry["upload_id"] == ready["id"] and entry["kind"] == "status"]
    assert states == ["waiting", "admitted", "receiving", "processing", "ready"] or states == [
        "waiting",
        "admitted",
        "processing",
        "ready",
    ]
    assert await cell.redis.zscore(f"{cell.keys.prefix}status:ready", ready["id"]) is not None
    assert await cell.redis.zscore(f"{cell.keys.prefix}uploads", failed["id"]) is not None
