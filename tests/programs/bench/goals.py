"""The rows of the table of goals: which figure each one shows, what it shall be, and what a peer needed in the same
run. A row whose figure was not measured says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Source:
    """A figure of a part: its median, or its 95th percentile."""

    part: str
    name: str
    statistic: str = "median"


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All figures of a part whose names begin with `prefix`, each labelled with the rest of its name."""

    part: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Row:
    """`least` and `most`: what `seen` may be, in the unit of the figure; None: no limit."""

    text: str
    seen: Source | Breakdown
    least: float | None = None
    most: float | None = None
    peers: Mapping[str, Source] = field(default_factory=dict)


def _upload(program: str, name: str) -> Source:
    return Source("throughput", f"{program}: {name}")


def _s3(program: str, name: str) -> Source:
    return Source("throughput-s3", f"{program}: {name}")


def _stalled(count: str) -> Source:
    return Source("memory", f"gateway: {count} segments stopped after 3 MiB: in flight")


_TO_READY: Final = "first byte to ready"
_MD5: Final = "sluice, client MD5"
_TIMES: Final = {
    "`swift upload`": _upload("swift upload", "whole command"),
    "plain PUTs": _upload("raw PUTs", "first byte to stored"),
}
_CLIENTS: Final = {
    "`swift upload`": _upload("swift upload", "client CPU per GiB"),
    "plain PUTs": _upload("raw PUTs", "client CPU per GiB"),
}
_TUS_TIME: Final = {"@tus/server": _s3("@tus/server", "first byte to stored")}
_TUS: Final = {"@tus/server": _s3("@tus/server", "server CPU per GiB")}

ROWS: Final[Sequence[Row]] = (
    Row("1 GiB into Swift: first byte to `ready`", _upload("sluice", _TO_READY), peers=_TIMES),
    Row(
        "the same / `swift upload` in the same round",
        Source("throughput", "sluice / swift upload: whole command"),
        most=1.0,
    ),
    Row("1 GiB into Swift, the client sends MD5: first byte to `ready`", _upload(_MD5, _TO_READY), peers=_TIMES),
    Row(
        "the same / `swift upload` in the same round",
        Source("throughput", f"{_MD5} / swift upload: whole command"),
        most=1.0,
    ),
    Row("gateway CPU per GiB", _upload("sluice", "gateway CPU per GiB"), most=1.0),
    Row("gateway CPU per GiB, the client sends MD5", _upload(_MD5, "gateway CPU per GiB"), most=1.0),
    Row("workers CPU per GiB, Swift", _upload("sluice", "workers CPU per GiB"), most=2.4),
    Row("workers CPU per GiB, Swift, the client sends MD5", _upload(_MD5, "workers CPU per GiB"), most=1.4),
    Row(
        "client CPU per GiB (`sluice upload`, with its start)",
        _upload("sluice", "client CPU per GiB"),
        most=0.8,
        peers=_CLIENTS,
    ),
    Row("1 GiB into S3: first byte to `ready`", _s3("sluice", _TO_READY), peers=_TUS_TIME),
    Row("gateway CPU per GiB, S3", _s3("sluice", "gateway CPU per GiB"), most=1.0, peers=_TUS),
    Row("workers CPU per GiB, S3", _s3("sluice", "workers CPU per GiB"), most=1.2, peers=_TUS),
    Row("the same, the client sends MD5", _s3(_MD5, "workers CPU per GiB"), most=1.2, peers=_TUS),
    Row(
        "the same, a store that compares CRC-32C (Swift's S3 API)",
        _s3("sluice, a store that compares CRC-32C", "workers CPU per GiB"),
        most=1.2,
    ),
    Row("photo of 200 KB, one at a time: POST to `ready`", Source("image", "one at a time: POST to ready"), most=0.060),
    Row("photos of 200 KB, 8 at once", Source("image", "8 at once: rate"), least=25.0),
    Row("CPU per photo, 8 at once", Breakdown("image", "8 at once: CPU per photo, ")),
    Row("videos of 16 MiB, 16 at once, into Swift", Source("videos", "16 at once: rate"), least=140.0),
    Row("workers CPU per video of 16 MiB", Source("videos", "16 at once: CPU per video, workers"), most=70.0),
    Row("Redis per one-segment upload: commands", Source("redis", "photo: time of all commands"), most=1.5),
    Row("Redis per one-segment upload: calls", Source("redis", "photo: calls"), most=200.0),
    Row("one worker process, idle", Source("process", "worker: resident when idle"), most=60.0),
    Row("one worker process: import", Source("process", "worker: import"), most=0.5),
    Row("`worker all`, idle", Source("process", "worker all: resident when idle"), most=90.0),
    Row("gateway memory, 200 segments stopped after 3 MiB", _stalled("200"), most=110.0),
    Row("gateway memory, 1,000 segments stopped after 3 MiB", _stalled("1,000"), most=160.0),
    Row(
        "16 segments at once against 1, a store that takes 100 ms",
        Source("parallel", "sluice: 16 at once against 1"),
        least=14.0,
        peers={"plain PUTs": Source("parallel", "plain PUTs: 16 at once against 1")},
    ),
    Row(
        "POST p95 with 10,000 waiting / with an empty queue",
        Source("scale", "POST: p95 with the queue / without"),
        most=1.5,
    ),
    Row(
        "POST with 10,000 waiting",
        Source("scale", "with the queue: POST", "p95"),
        peers={"empty queue": Source("scale", "without a queue: POST", "p95")},
    ),
    Row("CPU per upload with 16 gateways / with 1", Source("scale", "CPU per upload: 16 gateways / 1"), most=1.1),
    Row(
        "`sluice plan` / a real run, furthest from 1",
        Source("plan", "predicted / measured, furthest from 1"),
        least=0.7,
        most=1.3,
    ),
)
"""In the order of the table."""
