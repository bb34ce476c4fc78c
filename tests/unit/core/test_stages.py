"""The stage graph: acyclic, complete, every stage reachable, every worker type used."""

from __future__ import annotations

import json
from graphlib import TopologicalSorter

import pytest

from pipeline.core.stages import DISK_BOUND, FINAL, GRAPH, LOOPING, Stage, Trigger, WorkerType
from pipeline.core.transports import TRANSPORTS, Transport, needless, transports_table

pytestmark = pytest.mark.unit


def test_every_stage_has_a_specification() -> None:
    assert set(GRAPH) == set(Stage)
    assert all(spec.timeout_seconds > 0 and spec.max_attempts >= 1 for spec in GRAPH.values())


def test_the_graph_is_acyclic_and_ends_with_the_final_stage() -> None:
    order = list(TopologicalSorter({stage: spec.after for stage, spec in GRAPH.items()}).static_order())
    assert set(order) == set(Stage)
    assert order[-1] is FINAL


def test_a_stage_without_predecessors_has_another_trigger() -> None:
    for stage, spec in GRAPH.items():
        assert (spec.trigger is Trigger.PREDECESSORS) == bool(spec.after), stage


def test_the_final_stage_waits_for_every_other() -> None:
    before, ahead = {FINAL}, [FINAL]
    while ahead:
        for stage in GRAPH[ahead.pop()].after:
            if stage not in before:
                before.add(stage)
                ahead.append(stage)
    assert before == set(Stage), "an upload could be ready while another stage still runs"
    assert not any(FINAL in spec.after for spec in GRAPH.values())


def test_every_worker_type_runs_a_stage() -> None:
    assert {spec.worker for spec in GRAPH.values()} | LOOPING == set(WorkerType)
    assert not {WorkerType.PERSIST, WorkerType.NOTIFY} & DISK_BOUND


def test_the_table_for_redis_is_json() -> None:
    table = json.loads(json.dumps(transports_table()))
    assert set(table) == {str(transport) for transport in Transport}
    for row in table.values():
        assert set(row["stages"]) == {str(stage) for stage in Stage}
    gateway = table["gateway"]["stages"]
    assert gateway["persist"] == {
        "after": ["seal", "thumbnail", "assemble"],
        "trigger": "predecessors",
        "skipped": False,
        "reads": False,
        "for_digest": False,
    }
    assert not any(stage["skipped"] for stage in gateway.values())
    assert {name for name, stage in gateway.items() if stage["for_digest"]} == {"assemble"}
    for row in table.values():
        assert {name for name, stage in row["stages"].items() if stage["reads"]} == {"probe", "thumbnail"}
    assert (gateway["probe"]["trigger"], gateway["assemble"]["trigger"]) == ("first_segment", "all_received")
    imported = table["import"]["stages"]
    assert {name for name, stage in imported.items() if stage["skipped"]} == {"transfer", "seal", "assemble"}
    assert (imported["probe"]["trigger"], imported["probe"]["after"]) == ("all_received", [])
    direct = table["direct"]["stages"]
    assert {name for name, stage in direct.items() if stage["skipped"]} == {"transfer"}
    assert (direct["seal"]["trigger"], direct["assemble"]["after"]) == ("all_received", ["seal"])
    assert (direct["probe"]["trigger"], direct["probe"]["after"]) == ("all_received", []), "beside seal"
    assert {name: row["begins"] for name, row in table.items() if row["begins"] != "waiting"} == {
        "import": "processing",
        "direct": "granted",
        "token": "granted",
        "final": "processing",
    }
    partial = table["partial"]["stages"]
    assert {name for name, stage in partial.items() if not stage["skipped"]} == {"transfer"}
    assert (table["partial"]["last"], table["partial"]["ends"]) == ("transfer", "stored")
    assert {(row["last"], row["ends"]) for name, row in table.items() if name != "partial"} == {
        ("persist", "persisted")
    }


@pytest.mark.parametrize("transport", Transport)
def test_what_checks_a_digest_is_needless_without_one(transport: Transport) -> None:
    skipped = TRANSPORTS[transport].skipped
    assert needless(transport, digest=True) == skipped
    assert needless(transport, digest=False) == skipped | {Stage.ASSEMBLE}


@pytest.mark.parametrize("transport", Transport)
def test_every_transport_reaches_the_final_stage(transport: Transport) -> None:
    """Once the bytes have arrived, or are in the store, each stage becomes ready when its predecessors are done."""
    spec = TRANSPORTS[transport]
    assert set(spec.graph) == set(Stage)
    arrived = {Trigger.ALL_RECEIVED} if spec.in_store else {Trigger.ALL_RECEIVED, Trigger.FIRST_SEGMENT}
    done = set(spec.skipped)
    while True:
        ready = {
            stage
            for stage, row in spec.graph.items()
            if stage not in done and (set(row.after) <= done if row.after else row.trigger in arrived)
        }
        if not ready:
            break
        done |= ready
    assert done == set(Stage)
