"""The ways in, as data: how an upload's bytes come to us, and which stages that takes.

Guarantee: whatever differs between the ways in stands in `TRANSPORTS`. The Redis scripts receive the same table, so
there is one lifecycle and one set of stages for all of them. Every graph has every stage; what a transport has no need
of is `skipped` from the start, which counts as done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pipeline.core.lifecycle import Status
from pipeline.core.stages import GRAPH, Stage, StageSpec, Trigger


class Transport(StrEnum):
    """How the bytes of an upload come in. `gateway`: the client sends them to us; `import`: they are in the store
    already and stay there; `direct`: the client sends them to the store itself, by grants; `token`: likewise, with
    a token that is lent to it."""

    GATEWAY = "gateway"
    IMPORT = "import"
    DIRECT = "direct"
    TOKEN = "token"  # noqa: S105  # a name


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """One way in. `in_store`: every byte lies in the store when room is asked for, so that admission is followed by
    `processing` at once, and assemble fetches the object into the reservation. `begins`: the first status.
    """

    graph: Mapping[Stage, StageSpec]
    skipped: frozenset[Stage] = frozenset()
    in_store: bool = False
    begins: Status = Status.WAITING


# A segment is no object to read: fetching waits for the manifest.
_SEALED_FIRST: Mapping[Stage, StageSpec] = {
    Stage.SEAL: replace(GRAPH[Stage.SEAL], after=(), trigger=Trigger.ALL_RECEIVED),
    Stage.ASSEMBLE: replace(GRAPH[Stage.ASSEMBLE], after=(Stage.SEAL,), trigger=Trigger.PREDECESSORS, max_attempts=24),
}

# Talks to the store: as patient with it as transfer is. What was fetched before a failure is not fetched again.
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
    """The table as plain data, for the Redis scripts."""
    return {
        str(transport): {
            "in_store": spec.in_store,
            "begins": str(spec.begins),
            "stages": {
                str(stage): {
                    "after": [str(item) for item in row.after],
                    "trigger": str(row.trigger),
                    "skipped": stage in spec.skipped,
                }
                for stage, row in spec.graph.items()
            },
        }
        for transport, spec in TRANSPORTS.items()
    }
