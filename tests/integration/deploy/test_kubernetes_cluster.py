"""deploy/kubernetes: how pods, volumes, services, policies, disruption budgets and pools fit together."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from pipeline.core.stages import GRAPH, LOOPING, Stage, WorkerType
from tests.harness.manifests import OVERLAYS, Document, containers, grouped, name_of, of_kind, selects

pytestmark = pytest.mark.integration

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@each_overlay
def test_a_pool_with_a_disk_mounts_the_volume_of_its_cell_on_its_node(overlay: str) -> None:
    for cell, found in grouped(overlay).items():
        (stateful,) = [item.workload for item in found if item.worker_type is None]
        for container in found:
            if container.workload["kind"] == "StatefulSet" or not container.has_temp_volume:
                continue
            (claim,) = [
                volume["persistentVolumeClaim"]["claimName"]
                for volume in container.template["spec"]["volumes"]
                if "persistentVolumeClaim" in volume
            ]
            assert claim == f"temp-{name_of(stateful)}-0", cell
            (rule,) = container.template["spec"]["affinity"]["podAffinity"][
                "requiredDuringSchedulingIgnoredDuringExecution"
            ]
            assert rule["topologyKey"] == "kubernetes.io/hostname"
            assert selects(rule["labelSelector"], stateful)
            assert not selects(rule["labelSelector"], container.workload)


@each_overlay
def test_services_lead_to_gateways_of_one_cell(overlay: str) -> None:
    for service in of_kind(overlay, "Service"):
        chosen = [
            item for item in containers(overlay) if selects({"matchLabels": service["spec"]["selector"]}, item.workload)
        ]
        ports = {port["name"] for item in chosen if item.worker_type is None for port in item.spec["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports == {"http"}
        of_all = name_of(service) == "sluice-any-cell"
        assert len({item.cell for item in chosen}) == (len(grouped(overlay)) if of_all else 1)
    headless = {
        name_of(service) for service in of_kind(overlay, "Service") if service["spec"].get("clusterIP") == "None"
    }
    assert {cell["spec"]["serviceName"] for cell in of_kind(overlay, "StatefulSet")} == headless


@each_overlay
def test_a_pod_belongs_to_one_disruption_budget(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    for workload in of_kind(overlay, "StatefulSet", "Deployment"):
        matching = [name_of(budget) for budget in budgets if selects(budget["spec"]["selector"], workload)]
        # Further workers come and go as KEDA decides.
        assert len(matching) == ("sluice-extra" not in name_of(workload)), name_of(workload)


def _open_ports(policies: Collection[Document], workload: Document) -> set[int]:
    return {
        number
        for policy in policies
        if selects(policy["spec"]["podSelector"], workload)
        for rule in policy["spec"].get("ingress", ())
        for port in rule["ports"]
        for number in range(port["port"], port.get("endPort", port["port"]) + 1)
    }


@each_overlay
def test_only_the_ports_of_gateway_and_metrics_are_open(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    for container in containers(overlay):
        closed = [
            policy
            for policy in policies
            if selects(policy["spec"]["podSelector"], container.workload)
            and sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]
            and not {"ingress", "egress"} & policy["spec"].keys()
        ]
        assert len(closed) == 1, "nothing is denied"
        assert container.spec["ports"][0]["containerPort"] in _open_ports(policies, container.workload)
    for policy in policies:
        assert policy["spec"]["podSelector"].get("matchLabels"), "an empty selector concerns pods of others"
        for rule in policy["spec"].get("ingress", ()):
            assert rule["from"]
            assert rule["ports"]


def test_a_pool_is_scaled_by_its_jobs_and_by_the_age_of_its_queue() -> None:
    deployments = {name_of(item): item for item in of_kind("autoscale", "Deployment")}
    pools = {
        item.worker_type: item
        for item in containers("autoscale")
        if item.workload["kind"] == "Deployment" and item.worker_type not in LOOPING
    }
    scaled = {}
    for document in of_kind("autoscale", "ScaledObject"):
        spec = document["spec"]
        target = deployments[spec["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"], "each deployment would set it"
        assert spec["minReplicaCount"] < spec["maxReplicaCount"]
        (container,) = [item for item in containers("autoscale") if name_of(item.workload) == name_of(target)]
        assert container.worker_type is not None
        scaled[container.worker_type] = spec
        stages = "|".join(sorted(stage for stage, one in GRAPH.items() if one.worker == container.worker_type))
        kind, cell = container.worker_type, container.cell
        jobs, age = (trigger["metadata"]["query"] for trigger in spec["triggers"])
        assert age == f'max(sluice_queue_age_seconds{{cell="{cell}",type="{kind}"}})'
        found = jobs.split('stage=~"')[1].split('"')[0]
        assert "|".join(sorted(found.split("|"))) == stages
        waiting = f'max(sluice_queue_depth{{cell="{cell}",type="{kind}"}})'
        running = f'(sum(sluice_stage_running{{cell="{cell}",stage=~"{found}"}}) or vector(0))'
        in_pod = f" - {spec['triggers'][0]['metadata']['threshold']}, 0)"
        values = container.parsed
        reads = any(GRAPH[Stage(stage)].reads for stage in found.split("|"))
        slots = 2 * values.media_concurrency if reads else values.stage_concurrency
        assert spec["triggers"][0]["metadata"]["threshold"] == str(slots)
        has_base = container.has_temp_volume
        assert jobs == (f"clamp_min({waiting} + {running}{in_pod}" if has_base else f"{waiting} + {running}")
    assert set(scaled) == set(pools) == set(WorkerType) - LOOPING
