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

from pipeline.core.lifecycle import Status
from pipeline.core.stages import GRAPH, Stage, StageSpec, Trigger


class Transport(StrEnum):
    """How the bytes of an upload reach the store. `gateway`: the client sends them to the gateway. `import`: they are
    in the store already and stay there. `direct`: the client sends them to the store, using presigned URLs. `token`:
    the same, using a delegated token."""

    GATEWAY = "gateway"
    IMPORT = "import"
    DIRECT = "direct"
    TOKEN = "token"  # noqa: S105  # the name of a transport


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """One transport. `in_store`: every byte is in the store before the upload requests room on the temp volume. Its
    status then changes from `admitted` to `processing` at once, and assemble fetches the object into the temp file.
    `begins`: the first status.
    """

    graph: Mapping[Stage, StageSpec]
    skipped: frozenset[Stage] = frozenset()
    in_store: bool = False
    begins: Status = Status.WAITING


# The object cannot be read segment by segment, so fetching waits for the manifest.
_SEALED_FIRST: Mapping[Stage, StageSpec] = {
    Stage.SEAL: replace(GRAPH[Stage.SEAL], after=(), trigger=Trigger.ALL_RECEIVED),
    Stage.ASSEMBLE: replace(GRAPH[Stage.ASSEMBLE], after=(Stage.SEAL,), trigger=Trigger.PREDECESSORS, max_attempts=24),
}

# It reads from the store, so it has as many attempts as transfer. A retry does not fetch the same ranges again.
_FETCHING = replace(GRAPH[Stage.ASSEMBLE], max_attempts=24)

_BY_CLIENT = TransportSpec(
    {**GRAPH, **_SEALED_FIRST}, skipped=frozenset({Stage.TRANSFER}), in_store=True, begins=Status.GRANTED
)

TRANSPORTS: Mapping[Transport, TransportSpec] = {
    Transport.GATEWAY: TransportSpec(GRAPH),
    Transport.IMPORT: TransportSpec(
        {**GRAPH, Stage.ASSEMBLE: _FETCHING}, skipped=frozenset({Stage.TRANSFER, Stage.SEAL}), in_store=True
    ),
    Transport.DIRECT: _BY_CLIENT,
    Transport.TOKEN: _BY_CLIENT,
}


def transports_table() -> dict[str, dict[str, Any]]:
    """`TRANSPORTS` as JSON-serialisable data, for the Redis scripts."""
    return {
        str(transport): {
            "in_store": spec.in_store,
            "begins": str(spec.begins),
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
