"""Transports as data: how an upload's bytes reach the store, and which stages that takes.

Guarantee: all differences between transports are in `TRANSPORTS`. The Redis scripts receive the same table, so all
transports share one lifecycle and one set of stages. Every graph contains every stage; a stage that a transport does
not need is `skipped` from the start, which counts as done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pipeline.core.lifecycle import Event, Status
from pipeline.core.stages import FINAL, GRAPH, Stage, StageSpec, Trigger


class Transport(StrEnum):
    """How the bytes of an upload reach the store. `gateway`: the client sends them to the gateway. `import`: they are
    in the store already and stay there. `direct`: the client sends them to the store, using presigned URLs. `token`:
    the same, using a delegated token. `partial`: as `gateway`, a part of a file, which becomes no content. `final`: the
    bytes are those of partial uploads, whose segments it takes over."""

    GATEWAY = "gateway"
    IMPORT = "import"
    DIRECT = "direct"
    TOKEN = "token"  # noqa: S105  # the name of a transport
    PARTIAL = "partial"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """One transport. `in_store`: every byte is in the store before the first stage begins, and none of them is ever on
    the temp volume: such an upload needs no admission. `begins`: the first status. `last`: the stage whose end is
    the event `ends`."""

    graph: Mapping[Stage, StageSpec]
    skipped: frozenset[Stage] = frozenset()
    in_store: bool = False
    begins: Status = Status.WAITING
    last: Stage = FINAL
    ends: Event = Event.PERSISTED


_PROBED_AT_ONCE: Mapping[Stage, StageSpec] = {
    Stage.PROBE: replace(GRAPH[Stage.PROBE], trigger=Trigger.ALL_RECEIVED),
}

# A digest is that of the object, which exists once its manifest is written. Probe begins beside seal, and waits for it
# only where the store cannot read segments before (S3).
_COMPLETED: Mapping[Stage, StageSpec] = {
    **_PROBED_AT_ONCE,
    Stage.SEAL: replace(GRAPH[Stage.SEAL], after=(), trigger=Trigger.ALL_RECEIVED),
    Stage.ASSEMBLE: replace(GRAPH[Stage.ASSEMBLE], after=(Stage.SEAL,), trigger=Trigger.PREDECESSORS),
}

_BY_CLIENT = TransportSpec(
    {**GRAPH, **_COMPLETED}, skipped=frozenset({Stage.TRANSFER}), in_store=True, begins=Status.GRANTED
)

TRANSPORTS: Mapping[Transport, TransportSpec] = {
    Transport.GATEWAY: TransportSpec(GRAPH),
    Transport.IMPORT: TransportSpec(
        {**GRAPH, **_PROBED_AT_ONCE},
        skipped=frozenset({Stage.TRANSFER, Stage.SEAL, Stage.ASSEMBLE}),
        in_store=True,
        begins=Status.PROCESSING,
    ),
    Transport.DIRECT: _BY_CLIENT,
    Transport.TOKEN: _BY_CLIENT,
    Transport.PARTIAL: TransportSpec(
        GRAPH, skipped=frozenset(Stage) - {Stage.TRANSFER}, last=Stage.TRANSFER, ends=Event.STORED
    ),
    Transport.FINAL: replace(_BY_CLIENT, begins=Status.PROCESSING),
}


def needless(transport: Transport, *, digest: bool) -> frozenset[Stage]:
    """The stages that an upload does not need, which are `skipped` from its creation. `digest`: its client has
    announced a digest of the whole file."""
    spec = TRANSPORTS[transport]
    return spec.skipped | {stage for stage, row in spec.graph.items() if row.for_digest and not digest}


def transports_table() -> dict[str, dict[str, Any]]:
    """`TRANSPORTS` as JSON-serialisable data, for the Redis scripts."""
    return {
        str(transport): {
            "in_store": spec.in_store,
            "begins": str(spec.begins),
            "last": str(spec.last),
            "ends": str(spec.ends),
            "stages": {
                str(stage): {
                    "after": [str(item) for item in row.after],
                    "trigger": str(row.trigger),
                    "skipped": stage in spec.skipped,
                    "reads": row.reads,
                    "for_digest": row.for_digest,
                }
                for stage, row in spec.graph.items()
            },
        }
        for transport, spec in TRANSPORTS.items()
    }
