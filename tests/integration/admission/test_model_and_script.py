"""The scripts of a volume in a real Redis against `core.admission.AdmissionModel`, in random schedules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline.adapters.redis.scripts import NAMES, source
from pipeline.core.reservation import Reader
from pipeline.core.transports import TRANSPORTS, Transport
from tests.harness.redis_versions import RedisServer
from tests.integration.admission.books import OWNERS
from tests.integration.admission.finishing import FinishingMachine
from tests.integration.admission.volumes import Volume

pytestmark = pytest.mark.integration


_SCRIPTS = tuple(name for name in NAMES if name.startswith("volume_"))
_READING = [stage for stage, spec in TRANSPORTS[Transport.GATEWAY].graph.items() if spec.reads]


class ScriptBooks:
    """Calls the script through a blocking client, because Hypothesis' machine is not asynchronous."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._scripts = {name: client.register_script(source(name)) for name in _SCRIPTS}

    def call(self, script: str, prefix: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in arguments.items() if value is not None}
        answer = self._scripts[script](keys=[f"{self._namespace}:{prefix}"], args=[json.dumps(given)])
        return cast("dict[str, Any]", json.loads(cast("str", answer)))

    def set_reader(self, prefix: str, upload: str, reader: Reader) -> None:
        key = f"{self._namespace}:{prefix}upload:{upload}"
        with self._client.pipeline(transaction=False) as pipe:
            pipe.delete(key, f"{key}:reads")
            if reader.segments:
                pipe.sadd(f"{key}:reads", *reader.segments)
            if not reader.active:
                pipe.hset(key, mapping={f"stage.{stage}.state": "done" for stage in _READING})
            pipe.execute()

    def dump(self, volume_key: str, uploads: Sequence[str]) -> list[Any]:
        key = f"{self._namespace}:{volume_key}"
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(key)
            pipe.hgetall(f"{key}:reservations")
            pipe.hgetall(f"{key}:backed")
            pipe.zrange(f"{key}:leases", 0, -1, withscores=True)
            pipe.zrange(f"{key}:lapsed", 0, -1, withscores=True)
            pipe.zrange(f"{key}:queue", 0, -1, withscores=True)
            pipe.hgetall(f"{key}:requests")
            pipe.hgetall(f"{key}:passes")
            pipe.hgetall(f"{key}:tickets")
            pipe.smembers(f"{key}:granted")
            pipe.hgetall(f"{key}:windows")
            pipe.zrange(f"{key}:wishes", 0, -1, withscores=True)
            pipe.hgetall(f"{key}:wished")
            for part in ("owner", "places", "journals"):
                pipe.hgetall(f"{key}:{part}")
            pipe.zrange(f"{key}:turns", 0, -1, withscores=True)
            pipe.hgetall(f"{key}:debts")
            pipe.zrange(f"{key}:finish", 0, -1, withscores=True)
            pipe.hgetall(f"{key}:owner-bytes")
            pipe.hgetall(f"{key}:owner-uploads")
            for owner in OWNERS:
                pipe.zrange(f"{key}:queue:{owner}", 0, -1, withscores=True)
            for upload in uploads:
                pipe.hgetall(f"{key}:taken:{upload}")
                pipe.hgetall(f"{key}:given:{upload}")
            return pipe.execute()

    def forget(self, prefix: str) -> None:
        """Of an empty volume only its hash and its name in the list of volumes remain. Anything else is a leak."""
        expected = {f"{self._namespace}:{prefix}volume:v", f"{self._namespace}:{prefix}volumes"}
        found = set(self._client.scan_iter(f"{self._namespace}:{prefix}*", count=1000))
        assert {key for key in found if ":upload:" not in key} <= expected
        if found:
            self._client.delete(*found)


@pytest.fixture
def books(each_redis: RedisServer, redis_namespace: str) -> Iterator[ScriptBooks]:
    with redis.Redis.from_url(each_redis.url, decode_responses=True) as client:
        yield ScriptBooks(client, redis_namespace)


def test_a_segment_is_lost_of_an_upload_that_the_disk_cannot_hold(books: ScriptBooks) -> None:
    """An upload is admitted by an old reading of the disk. The disk cannot hold it, so it waits again."""
    machine = FinishingMachine(books)
    volume = Volume(budget_bytes=30, disk_bytes=40, headroom_bytes=0, max_overtakes=0, lookahead=1)
    for step in (
        partial(machine.set_up, volume=volume, begun=[]),
        partial(machine.another_program_fills_the_disk, count_bytes=10),
        partial(machine.run_pass, "request", "u0", 30),
        partial(machine.another_program_fills_the_disk, count_bytes=1),
        partial(machine.lose, index=0, lost={0}, read=False),
    ):
        step()
        machine.both_keep_the_same_books()
        machine.nothing_is_promised_twice()
        machine.first_come_first_served()
    assert [item.upload_id for item in machine.model.queue] == ["u0"]
    assert not machine.model.reservations
    machine.teardown()


@pytest.mark.timeout(600)  # it takes seconds; the rest is for more schedules, or for finding the shortest failing one
@pytest.mark.parametrize(
    ("schedules", "steps"), [(40, 14), (3, 120)], ids=["many short schedules", "few long schedules"]
)
def test_the_script_does_what_the_model_says(books: ScriptBooks, schedules: int, steps: int) -> None:
    """`SCHEDULES=20 pytest tests/integration/admission` runs twenty times as many schedules."""
    run_state_machine_as_test(
        cast("Any", partial(FinishingMachine, books)),
        settings=settings(
            max_examples=schedules * int(os.environ.get("SCHEDULES", "1")),
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
