"""Replies that no test can make a server of its own give, injected by a proxy: errors of clusters, fail-overs, proxies
and future versions, and bytes that are not Redis' protocol. Everything that talks to Redis survives them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress

import pytest
from pydantic import SecretStr
from yarl import URL

from pipeline.adapters.arq.worker import QueueWorker
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.replies import PROBLEMS
from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, WorkerType
from pipeline.settings import Settings
from tests.contract.redis.uploads import Play, until
from tests.harness.faults.resp import RespProxy
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.contract

ERRORS = {
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "MOVED": "MOVED 3999 127.0.0.1:6381",
    "ASK": "ASK 3999 127.0.0.1:6381",
    "CROSSSLOT": "CROSSSLOT Keys in request don't hash to the same slot",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "MISCONF": "MISCONF Errors writing to the AOF file: No space left on device",
    "NOAUTH": "NOAUTH Authentication required.",
    "DENIED": "DENIED Redis is running in protected mode because protected mode is enabled",
    "EXECABORT": "EXECABORT Transaction discarded because of previous errors.",
    "NOSCRIPT": "NOSCRIPT No matching script. Please use EVAL.",
    "UNKILLABLE": "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "NOTBUSY": "NOTBUSY No scripts in execution right now.",
    "NOGOODSLAVE": "NOGOODSLAVE No suitable replica to promote",
    "INPROG": "INPROG Failover already in progress.",
    "IOERR": "IOERR error or timeout reading to target instance",
    "UNKNOWN": "ERR unknown command 'EVALSHA', with args beginning with: ",
    "MAXCLIENTS": "ERR max number of clients reached",
    "": "ERR upstream failure",
}
GARBAGE = {
    "no protocol": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "no line": b"\x00\xff" * 40_000,
    "no length": b"$abc\r\n",
    "no number": b":abc\r\n",
    "no text": b"$4\r\n\xff\xfe\xfd\xfc\r\n",
    "nothing": b"$-1\r\n",
    "a number": b":1\r\n",
    "a status": b"+OK\r\n",
    "an empty list": b"*0\r\n",
    "a list of lists": b"*1\r\n*1\r\n:1\r\n",
    "an empty error": b"-\r\n",
}


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[RespProxy]:
    url = URL(redis_url)
    async with RespProxy((str(url.host), int(url.port or 0))) as opened:
        yield opened


@pytest.fixture
def proxy_url(redis_url: str, proxy: RespProxy) -> str:
    return str(URL(redis_url).with_host("127.0.0.1").with_port(proxy.port))


def _opened(url: str, namespace: str) -> AbstractAsyncContextManager[RedisParts]:
    return redis_parts(Settings(redis_url=SecretStr(url), redis_namespace=namespace))


@pytest.fixture
async def parts(proxy_url: str, redis_namespace: str) -> AsyncIterator[RedisParts]:
    async with _opened(proxy_url, redis_namespace) as opened:
        yield opened


@pytest.mark.parametrize("code", ERRORS)
async def test_an_error_reply_is_an_outage(parts: RedisParts, proxy: RespProxy, code: str) -> None:
    play = Play(parts)
    upload = await play.admitted(2)
    job = (await play.receive(upload, 1)).jobs[0]
    proxy.reply = f"-{ERRORS[code]}\r\n".encode()
    calls = (
        lambda: parts.board.get(upload.upload_id),
        lambda: parts.board.create(new_upload()),
        lambda: parts.board.known([upload.upload_id]),
        lambda: parts.board.get_with_segment(upload.upload_id, 1),
        lambda: parts.board.server_run(),
        lambda: parts.queue.enqueue(job),
        lambda: parts.queue.jobs("local", 1),
        lambda: parts.queue.discard(job),
        lambda: parts.gauges.collect(),
        lambda: parts.ledger.snapshot(),
        lambda: parts.ledger.standing(upload.upload_id),
        lambda: parts.ended.due("local", 1),
        lambda: parts.ended.defer("local", upload.upload_id, 1),
        lambda: parts.stages.stale([job]),
        lambda: parts.workers.write("worker", {"types": "probe"}),
        lambda: parts.workers.remove("worker"),
        lambda: parts.health.check(),
    )
    for call in calls:
        with pytest.raises(DependencyUnavailable) as caught:
            await call()
        assert caught.value.detail["redis_code"] == code, caught.value.message
        assert PROBLEMS.get(code, "") in caught.value.message
    proxy.reply = None
    assert (await play.receive(upload, 2)).accepted


@pytest.mark.parametrize("name", GARBAGE)
async def test_bytes_that_are_not_redis_are_an_outage(parts: RedisParts, proxy: RespProxy, name: str) -> None:
    play = Play(parts)
    upload = await play.admitted(2)
    proxy.reply = GARBAGE[name]
    calls = (
        lambda: parts.board.create(new_upload()),
        lambda: play.receive(upload, 2),
        lambda: parts.ledger.renew(upload.upload_id),
        lambda: parts.ledger.epoch(),
        lambda: parts.ledger.snapshot(),
        lambda: parts.gauges.collect(),
        lambda: parts.board.server_run(),
        lambda: parts.health.check(),
    )
    for call in calls:
        with pytest.raises(DependencyUnavailable):
            await call()
    proxy.reply = None
    assert (await play.receive(upload, 2)).accepted


@pytest.mark.parametrize("reply", [*(f"-{text}\r\n".encode() for text in ERRORS.values()), *GARBAGE.values()])
async def test_worker_and_signals_survive(parts: RedisParts, proxy: RespProxy, proxy_url: str, reply: bytes) -> None:
    ran: Counter[str] = Counter()

    async def run(job: StageJob) -> None:
        ran[job.job_id] += 1

    queue = parts.keys.queue(WorkerType.PROBE, "local")
    worker = QueueWorker(proxy_url, queue, run, parts.signals, max_jobs=2, timeout_seconds=60)
    polling = asyncio.create_task(worker.main())
    try:
        proxy.reply = reply
        began = proxy.replied
        worker._wake.set()
        await until(lambda: proxy.replied > began)
        proxy.reply = None
        job = StageJob("an-upload", Stage.PROBE, 1, "local")

        async def enqueued() -> bool:
            try:
                await parts.queue.enqueue(job)
            except DependencyUnavailable:  # a connection may still hold a reply
                return False
            return True

        await until(enqueued)
        await until(lambda: ran[job.job_id] >= 1)
        assert not polling.done()
        await until(lambda: not parts.signals.problem)
        with parts.signals.waiter("upload", "one") as woken:
            await parts.client.publish(parts.keys.changed("one"), "")
            async with asyncio.timeout(60):
                await woken.wait()
    finally:
        await worker.drain(1)
        await polling
        await worker.disconnect()


@pytest.mark.parametrize("command", ["EXEC", "MULTI", "GETDEL"])
async def test_a_refused_transaction_leaves_no_connection_that_queues(
    parts: RedisParts, proxy: RespProxy, proxy_url: str, command: str
) -> None:
    """The server has seen MULTI and no EXEC: it responds to whatever else the connection sends with QUEUED."""
    ran: Counter[str] = Counter()

    async def run(job: StageJob) -> None:
        ran[job.job_id] += 1

    queue = parts.keys.queue(WorkerType.PROBE, "local")
    worker = QueueWorker(proxy_url, queue, run, parts.signals, max_jobs=2, timeout_seconds=60)
    jobs = [StageJob("an-upload", Stage.PROBE, number, "local") for number in (1, 2)]
    polling = asyncio.create_task(worker.main())
    try:
        proxy.only, proxy.reply = {command}, b"-CLUSTERDOWN The cluster is down\r\n"
        await parts.queue.enqueue(jobs[0])
        with suppress(DependencyUnavailable):
            await parts.ledger.snapshot()
        await until(lambda: proxy.replied > 0)
        proxy.reply = None
        await parts.queue.enqueue(jobs[1])
        await until(lambda: ran[jobs[1].job_id] == 1)
        assert (await parts.ledger.snapshot()).reservations == 0
        await parts.board.create(new_upload())
    finally:
        await worker.drain(1)
        await polling
        await worker.disconnect()


@pytest.mark.parametrize("reply", [*(f"-{text}\r\n".encode() for text in ERRORS.values()), *GARBAGE.values()])
async def test_a_process_that_starts_meanwhile_listens_afterwards(
    proxy: RespProxy, proxy_url: str, redis_namespace: str, reply: bytes
) -> None:
    proxy.reply = reply
    async with _opened(proxy_url, redis_namespace) as parts:
        proxy.reply = None
        with parts.signals.waiter("upload", "one") as woken:

            async def is_woken() -> bool:
                with suppress(DependencyUnavailable), translated():
                    await parts.client.publish(parts.keys.changed("one"), "")
                return woken.is_set()

            await until(is_woken, seconds=20)
        assert not parts.signals.problem


async def test_what_is_no_job_stays_in_the_queue(parts: RedisParts, proxy_url: str) -> None:
    ran: Counter[str] = Counter()

    async def run(job: StageJob) -> None:
        ran[job.job_id] += 1

    queue = parts.keys.queue(WorkerType.PROBE, "local")
    await parts.client.zadd(queue, {"no-job": 1, "a:probe:b": 2})
    worker = QueueWorker(proxy_url, queue, run, parts.signals, max_jobs=2, timeout_seconds=60)
    polling = asyncio.create_task(worker.main())
    try:
        job = StageJob("an-upload", Stage.PROBE, 1, "local")
        await parts.queue.enqueue(job)
        await until(lambda: ran[job.job_id] == 1)
        assert await parts.queue.jobs("local", 10) == []
    finally:
        await worker.drain(1)
        await polling
        await worker.disconnect()
