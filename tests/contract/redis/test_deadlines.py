"""Leases and deadlines in random schedules, on each version of Redis: what ends an upload whose client is slow.

The lease runs from the confirmation as that of a first segment, from each recorded segment as any other, and from the
progress of a body. The deadline runs from the confirmation. Nothing shortens either; both stand still while admission
does not run. An upload of which every byte has arrived does not expire. If a segment of it is lost, its client has at
least one lease.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pipeline.adapters.redis.records import to_fields
from pipeline.adapters.redis.scripts import NAMES, source
from pipeline.core.lifecycle import ENDED, Event, Status
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

FIRST_MS, LEASE_MS, DEADLINE_MS, PAUSE_MS = 60, 900, 5_000, 300
SEGMENTS, SEGMENT_BYTES, VOLUME = 2, 10, "v"
VOLUME_SCRIPTS = tuple(name for name in NAMES if name.startswith("volume_"))
SCRIPTS = ("upload_create", "upload_apply", "segment_received", "segment_invalidate", *VOLUME_SCRIPTS)
_prefixes = (f"deadlines-{number}:" for number in itertools.count())
numbers = st.integers(1, SEGMENTS)
which = st.integers(0, 2)


@dataclass
class Modelled:
    """One upload. `lease_ms`, `deadline_ms`: until when; None before its admission and after its end."""

    upload_id: str
    status: Status = Status.WAITING
    received: set[int] = field(default_factory=set)
    lease_ms: int | None = None
    lapsed: bool = False
    deadline_ms: int | None = None

    def renew(self, until_ms: int) -> None:
        self.lapsed = False
        self.lease_ms = max(self.lease_ms or 0, until_ms)


class Calls:
    """Calls scripts through a blocking client, because Hypothesis' machine is not asynchronous."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self._scripts = {name: client.register_script(source(name)) for name in SCRIPTS}

    def call(self, script: str, prefix: str, **arguments: Any) -> dict[str, Any]:
        given = {key: value for key, value in arguments.items() if value is not None}
        answer = self._scripts[script](keys=[f"{self.namespace}:{prefix}"], args=[json.dumps(given)])
        return cast("dict[str, Any]", json.loads(cast("str", answer)))


class DeadlineMachine(RuleBasedStateMachine):
    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.calls, self.prefix = calls, next(_prefixes)
        self.now_ms = self.ran_ms = 1_700_000_000_000
        self.volume("open", run="run")
        self.uploads = [self.create() for _ in range(3)]
        self.run()

    def call(self, script: str, **arguments: Any) -> dict[str, Any]:
        return self.calls.call(script, self.prefix, now_ms=self.now_ms, requeue_ms=1_000, **arguments)

    def volume(self, op: str, **arguments: Any) -> dict[str, Any]:
        return self.call(f"volume_{op}", volume=VOLUME, **arguments)

    def create(self) -> Modelled:
        new = new_upload(size_bytes=SEGMENTS * SEGMENT_BYTES, segment_bytes=SEGMENT_BYTES, volume=VOLUME)
        self.call("upload_create", upload_id=new.upload_id, fields=to_fields(new), fingerprint="", idempotency_ms=1)
        return Modelled(new.upload_id)

    def end(self, upload: Modelled, event: Event) -> None:
        self.call("upload_apply", upload_id=upload.upload_id, event=event)
        self.volume("release", upload_id=upload.upload_id)
        upload.status = Status.EXPIRED if event is Event.EXPIRE else Status.CANCELLED
        upload.lease_ms = upload.deadline_ms = None
        upload.lapsed = False

    # -- the clock, and upkeep

    @rule(milliseconds=st.integers(0, 80) | st.integers(0, 1_000) | st.just(DEADLINE_MS))
    def time_passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    @rule()
    def run(self, upload: Modelled | None = None) -> None:
        """One run of admission, or the request of an upload."""
        reading = {"free_bytes": 2**40, "headroom_bytes": 0, "epoch": self.epoch}
        who = {"upload_id": upload.upload_id, "size_bytes": 1, "owner": "someone"} if upload else {}
        rules = {"budget_bytes": 2**40, "max_overtakes": 1, "lookahead": 9, "pause_ms": PAUSE_MS}
        answer = self.volume("request" if upload else "run", lease_ms=FIRST_MS, **reading, **rules, **who)
        paused = self.now_ms - self.ran_ms if self.now_ms - self.ran_ms > PAUSE_MS else 0
        self.ran_ms = self.now_ms
        for one in self.uploads:
            if one.lease_ms is not None and not one.lapsed:
                one.lease_ms += paused
                one.lapsed = one.lease_ms <= self.now_ms
            if one.deadline_ms is not None:
                one.deadline_ms += paused
        assert set(answer["lapsed"] or ()) == {one.upload_id for one in self.uploads if one.lapsed}

    @property
    def epoch(self) -> int:
        key = f"{self.calls.namespace}:{self.prefix}volume:{VOLUME}"
        return int(cast("str | None", self.calls.client.hget(key, "epoch")) or 0)

    @rule()
    def sweep(self) -> None:
        """Uploads past their deadline end, unless they are complete."""
        found = self.volume("overdue", limit=100, lease_ms=LEASE_MS)["uploads"] or ()
        due = [one for one in self.uploads if one.deadline_ms is not None and one.deadline_ms <= self.now_ms]
        assert set(found) == {one.upload_id for one in due if one.status is not Status.PROCESSING}
        for one in due:
            if one.status is Status.PROCESSING:
                one.deadline_ms = self.now_ms + LEASE_MS
            else:
                self.end(one, Event.EXPIRE)

    # -- clients

    @rule(index=which)
    def admit(self, index: int) -> None:
        upload = self.uploads[index]
        if upload.status is not Status.WAITING:
            return
        self.run(upload)
        self.call("upload_apply", upload_id=upload.upload_id, event="admit")
        for _ in range(2):  # two callers
            self.volume(
                "confirm", upload_id=upload.upload_id, backed_bytes=0, lease_ms=FIRST_MS, deadline_ms=DEADLINE_MS
            )
        upload.status = Status.ADMITTED
        upload.lease_ms, upload.deadline_ms = self.now_ms + FIRST_MS, self.now_ms + DEADLINE_MS

    @rule(index=which)
    def a_body_makes_progress(self, index: int) -> None:
        upload = self.uploads[index]
        known = self.volume("renew", upload_id=upload.upload_id, lease_ms=FIRST_MS)["known"]
        assert known == (upload.lease_ms is not None)
        if known:
            upload.renew(self.now_ms + FIRST_MS)

    @rule(index=which, number=numbers)
    def a_segment_arrives(self, index: int, number: int) -> None:
        upload = self.uploads[index]
        facts = {"upload_id": upload.upload_id, "number": number, "size_bytes": SEGMENT_BYTES, "crc32c": "00000001"}
        accepted = self.call("segment_received", **facts, lease_ms=LEASE_MS)["accepted"]
        assert accepted == (upload.status in (Status.ADMITTED, Status.RECEIVING) and number not in upload.received)
        if upload.lease_ms is not None:
            upload.renew(self.now_ms + LEASE_MS)
        if accepted:
            upload.received.add(number)
            upload.status = Status.PROCESSING if len(upload.received) == SEGMENTS else Status.RECEIVING

    @rule(index=which, number=numbers)
    def a_segment_is_lost(self, index: int, number: int) -> None:
        upload = self.uploads[index]
        facts = {"upload_id": upload.upload_id, "number": number, "crc32c": "00000001"}
        lost = self.call("segment_invalidate", **facts, lease_ms=LEASE_MS)["lost"]
        assert lost == (upload.status in (Status.RECEIVING, Status.PROCESSING) and number in upload.received)
        if lost:
            upload.received.discard(number)
        if lost and upload.status is Status.PROCESSING:
            upload.status = Status.RECEIVING
            upload.renew(self.now_ms + LEASE_MS)
            upload.deadline_ms = max(upload.deadline_ms or 0, self.now_ms + LEASE_MS)

    @rule(index=which)
    def cancel(self, index: int) -> None:
        if self.uploads[index].status not in ENDED:
            self.end(self.uploads[index], Event.CANCEL)
            self.uploads[index] = self.create()

    # -- what must hold after each step

    @invariant()
    def both_keep_the_same_times(self) -> None:
        key = f"{self.calls.namespace}:{self.prefix}volume:{VOLUME}"
        with self.calls.client.pipeline(transaction=False) as pipe:
            for part in ("leases", "lapsed", "deadlines"):
                pipe.zrange(f"{key}:{part}", 0, -1, withscores=True)
            leases, lapsed, deadlines = (dict(found) for found in pipe.execute())
        held = [one for one in self.uploads if one.lease_ms is not None]
        assert leases == {one.upload_id: one.lease_ms for one in held if not one.lapsed}
        assert lapsed == {one.upload_id: one.lease_ms for one in held if one.lapsed}
        assert deadlines == {one.upload_id: one.deadline_ms for one in self.uploads if one.deadline_ms is not None}

    def teardown(self) -> None:
        if found := list(self.calls.client.scan_iter(f"{self.calls.namespace}:{self.prefix}*", count=1_000)):
            self.calls.client.delete(*found)


@pytest.fixture
def calls(each_redis: RedisServer, redis_namespace: str) -> Iterator[Calls]:
    with redis.Redis.from_url(each_redis.url, decode_responses=True) as client:
        yield Calls(client, redis_namespace)


@pytest.mark.timeout(300)
def test_the_scripts_do_what_the_rules_say(calls: Calls) -> None:
    run_state_machine_as_test(
        cast("Any", partial(DeadlineMachine, calls)),
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
