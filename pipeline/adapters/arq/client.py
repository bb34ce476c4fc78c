"""arq's client, and a stage job as arq stores it.

arq pickles by default, so that anyone who can write to Redis could run code in a worker: jobs are JSON instead.
"""

from __future__ import annotations

import json
from typing import Any

from arq.connections import ArqRedis
from arq.jobs import serialize_job
from arq.utils import timestamp_ms

from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.jobs import known_stage
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage

FUNCTION = "run_stage"
_RESPONSE_SECONDS = 10
_CONNECT_SECONDS = 5
# A worker polls one queue at a time; nothing that waits for jobs holds a connection.
_CONNECTIONS = 4


def serialize(value: dict[str, Any]) -> bytes:
    """arq's job envelope as JSON. What JSON cannot hold (an exception, say) becomes text."""
    return json.dumps(value, default=str).encode()


def deserialize(raw: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(raw)
    return value


def arq_client(redis_url: str) -> ArqRedis:
    """The client that an arq worker needs; unlike the other clients it reads bytes."""
    pool = open_pool(
        redis_url,
        max_connections=_CONNECTIONS,
        decode_responses=False,
        socket_timeout=_RESPONSE_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
    )
    return ArqRedis(pool_or_conn=pool, job_serializer=serialize, job_deserializer=deserialize)


def write_job(job: StageJob) -> bytes:
    """The envelope of a call of `FUNCTION`, which `read_job` turns back into the job."""
    arguments = (job.upload_id, str(job.stage), job.fencing_token, job.volume)
    return serialize_job(FUNCTION, arguments, {}, None, timestamp_ms(), serializer=serialize)


def read_job(upload_id: str, stage: str, fencing_token: int, volume: str) -> StageJob:
    """The arguments of `FUNCTION`, as a job."""
    return StageJob(upload_id, Stage(stage), fencing_token, volume)


def read_id(job_id: str) -> tuple[str, Stage, int] | None:
    """Upload id, stage and fencing token in `StageJob.job_id`; None for a stage that only another release has, and for
    the id of a job that is not Sluice's."""
    upload_id, _, rest = job_id.partition(":")
    name, _, token = rest.partition(":")
    stage = known_stage(name)
    return (upload_id, stage, int(token)) if stage and token.isascii() and token.isdigit() else None
