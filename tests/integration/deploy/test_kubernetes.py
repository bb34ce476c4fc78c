"""deploy/kubernetes: what kustomize renders is valid, and its containers are what the code is."""

from __future__ import annotations

from urllib.parse import urlsplit

import click
import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr

from deploy.cli.root import RootGroup
from gateway.api.health import ROUTES
from pipeline.core.stages import DISK_BOUND, WorkerType
from pipeline.settings import Settings
from tests.harness.gateway_api_schema import HTTP_ROUTE
from tests.harness.keda_schema import SCALED_OBJECT
from tests.harness.manifests import (
    KUBERNETES,
    OVERLAYS,
    Container,
    containers,
    grouped,
    name_of,
    of_kind,
    quantity_bytes,
    rendered,
    selects,
)

pytestmark = pytest.mark.integration

VERSION = "1.37"
# Readers beside the worker's own process, see docs/operations.md
PROCESS_BYTES = 512 * 1024**2
ALL = [container for overlay in OVERLAYS for container in containers(overlay)]
OTHERS = {"ScaledObject": SCALED_OBJECT, "HTTPRoute": HTTP_ROUTE}
EXAMPLES = {
    name_of(document): document["stringData"]
    for document in yaml.safe_load_all((KUBERNETES / "secret.example.yaml").read_text())
}

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
each_container = pytest.mark.parametrize("container", ALL, ids=str)


def is_secret(name: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[setting(name)].annotation)


def setting(name: str) -> str:
    assert name.startswith("SLUICE_")
    return name.removeprefix("SLUICE_").lower()


@each_overlay
def test_every_document_is_valid(overlay: str) -> None:
    for document in rendered(overlay):
        if document["kind"] in OTHERS:
            jsonschema.validate(document, OTHERS[document["kind"]])
        else:
            kubernetes_validate.validate(dict(document), VERSION, strict=True)
        assert document["metadata"]["namespace"] == "sluice"
    names = [(document["kind"], name_of(document)) for document in rendered(overlay)]
    assert len(set(names)) == len(names)


def test_an_unknown_field_is_not_valid() -> None:
    (budget, *_) = of_kind("single-cell", "PodDisruptionBudget")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**budget, "spec": {**budget["spec"], "atMost": 1}}, VERSION, strict=True)
    (scaled, *_) = of_kind("autoscale", "ScaledObject")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**scaled, "spec": {**scaled["spec"], "replicas": 1}}, SCALED_OBJECT)
    (route,) = of_kind("two-cells", "HTTPRoute")
    two = [{**rule, "matches": 2 * rule["matches"]} for rule in route["spec"]["rules"] if "filters" in rule]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**route, "spec": {**route["spec"], "rules": two}}, HTTP_ROUTE)


def test_each_cell_has_its_number_and_its_path_leads_to_it() -> None:
    (route,) = of_kind("two-cells", "HTTPRoute")
    rewritten = {rule["matches"][0]["path"]["value"]: rule for rule in route["spec"]["rules"] if "filters" in rule}
    numbers: dict[str, int] = {}
    for name, found in grouped("two-cells").items():
        (settings,) = {(item.parsed.cell, item.parsed.cells) for item in found}
        numbers[name], cells = settings
        url = urlsplit(dict(cells)[numbers[name]])
        assert [url.hostname] == route["spec"]["hostnames"]
        (backend,) = rewritten[url.path]["backendRefs"]
        assert backend["name"] == f"sluice-{name}"
        assert found[0].parsed.public_url == "", "links lead to the cell"
    assert numbers == {"a": 0, "b": 1}
    hidden, *_, rest = route["spec"]["rules"]
    paths = [match["path"] for match in hidden["matches"]]
    assert paths == [{"type": "Exact", "value": f"{path}/metrics"} for path in ("", "/cells/0", "/cells/1")]
    assert "backendRefs" not in hidden
    services = {name_of(service): service for service in of_kind("two-cells", "Service")}
    (backend,) = rest["backendRefs"]
    (any_cell,) = [services[backend["name"]]["spec"]["selector"]]
    gateways = [item.workload for item in containers("two-cells") if item.worker_type is None]
    assert len(gateways) == 2
    assert all(selects({"matchLabels": any_cell}, workload) for workload in gateways)


@each_overlay
def test_a_cell_has_every_worker_type_and_those_with_a_disk_are_where_it_is(overlay: str) -> None:
    for found in grouped(overlay).values():
        types = {container.worker_type for container in found}
        assert types - {None} == set(WorkerType), "add the worker type: see deploy/kubernetes/README.md"
        for container in found:
            needs_disk = container.worker_type is None or container.worker_type in DISK_BOUND
            assert container.has_temp_volume == needs_disk, container
        (cell,) = {
            id(item.workload): item.workload for item in found if item.workload["kind"] == "StatefulSet"
        }.values()
        assert cell["spec"]["replicas"] == 1
        in_pod = [item.worker_type for item in found if item.workload is cell]
        assert len(in_pod) == len(set(in_pod))
        assert set(in_pod) == {None, *DISK_BOUND}


@each_container
def test_a_command_is_one_of_sluice(container: Container) -> None:
    name, *arguments = container.command
    assert name == "sluice"
    command, words = RootGroup(), arguments
    context = click.Context(command)
    found, subcommand, rest = command.resolve_command(context, words)
    assert subcommand is not None
    subcommand.make_context(found, list(rest))


@each_container
def test_every_variable_is_a_setting_with_a_valid_value(container: Container) -> None:
    values = container.settings
    assert [name for name in values if setting(name) not in Settings.model_fields] == []
    assert [name for name in values if is_secret(name)] == [], "secrets belong into a Secret"
    parsed = container.parsed
    assert parsed.volume == container.cell
    assert parsed.media_confinement == "required"
    mounts = {mount["mountPath"] for mount in container.spec["volumeMounts"]}
    assert str(parsed.temp_dir.parent) in mounts


def test_examples_of_secrets_are_settings_without_values() -> None:
    assert set(EXAMPLES) == {"sluice", "sluice-redis-a"}
    for values in EXAMPLES.values():
        assert [name for name in values if setting(name) not in Settings.model_fields] == []
        assert set(values.values()) == {"REPLACE"}
    needed = {f"SLUICE_{name.upper()}" for name in ("redis_url", "database_url", "signing_secret")}
    assert needed <= {name for values in EXAMPLES.values() for name in values}
    assert isinstance(Settings.model_fields["redis_url"].default, SecretStr)
    for overlay in OVERLAYS:
        assert of_kind(overlay, "Secret") == []


@each_container
def test_configuration_that_a_pod_refers_to_exists(container: Container) -> None:
    maps = {name_of(document) for document in of_kind(container.overlay, "ConfigMap")}
    for source in container.spec["envFrom"]:
        if "configMapRef" in source:
            assert source["configMapRef"]["name"] in maps
        else:
            assert source["secretRef"]["name"] in {"sluice", f"sluice-redis-{container.cell}"}
    accounts = {name_of(document) for document in of_kind(container.overlay, "ServiceAccount")}
    assert container.template["spec"]["serviceAccountName"] in accounts


@each_container
def test_probes_ask_what_the_process_serves(container: Container) -> None:
    spec, values = container.spec, container.settings
    (port,) = spec["ports"]
    paths = {name: spec[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz"}
    if container.worker_type is None:
        assert port["containerPort"] == int(values["SLUICE_PORT"])
        assert spec["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert {"/healthz", "/readyz"} <= {route.path for route in ROUTES}
    else:
        assert port["containerPort"] == int(values["SLUICE_METRICS_PORT"])
        assert "readinessProbe" not in spec, "nothing is sent to a worker"
    for name in ("startup", "liveness", "readiness"):
        if f"{name}Probe" in spec:
            assert spec[f"{name}Probe"]["httpGet"]["port"] == port["name"]
    assert values["SLUICE_HOST"] == "0.0.0.0"  # noqa: S104  # the kubelet connects to the pod's address


def test_ports_of_a_pod_are_distinct() -> None:
    for overlay in OVERLAYS:
        for workload in of_kind(overlay, "StatefulSet", "Deployment"):
            ports = [item.spec["ports"][0] for item in containers(overlay) if item.workload is workload]
            assert len({port["name"] for port in ports}) == len({port["containerPort"] for port in ports}) == len(ports)


@each_container
def test_a_pod_has_the_time_that_a_shutdown_takes(container: Container) -> None:
    shutdown_seconds = container.parsed.shutdown_seconds
    assert shutdown_seconds == Settings.model_fields["shutdown_seconds"].default
    pause_seconds = container.spec.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert (pause_seconds > 0) == (container.worker_type is None)
    needed = pause_seconds + shutdown_seconds + 10
    assert container.template["spec"]["terminationGracePeriodSeconds"] >= needed


@each_container
def test_a_container_has_no_right_that_it_does_not_need(container: Container) -> None:
    pod = container.template["spec"]
    assert pod["enableServiceLinks"] is False, "a Service named sluice would set SLUICE_PORT"
    assert pod["automountServiceAccountToken"] is False
    assert {key: pod["securityContext"][key] for key in ("runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup")} == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
    }
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container.spec["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all("hostPath" not in volume for volume in pod["volumes"])


@each_container
def test_memory_holds_what_the_settings_permit(container: Container) -> None:
    resources, values = container.spec["resources"], container.settings
    limit_bytes = quantity_bytes(resources["limits"]["memory"])
    assert {"cpu", "memory"} <= resources["requests"].keys()
    if container.worker_type in {WorkerType.PROBE, WorkerType.THUMBNAIL}:
        readers = 2 * int(values["SLUICE_MEDIA_CONCURRENCY"])
        assert limit_bytes >= readers * int(values["SLUICE_MEDIA_MEMORY_BYTES"]) + PROCESS_BYTES


@each_overlay
def test_the_budget_fits_on_the_volume(overlay: str) -> None:
    for container in containers(overlay):
        for claim in container.workload["spec"].get("volumeClaimTemplates", ()):
            held = quantity_bytes(claim["spec"]["resources"]["requests"]["storage"])
            headroom = Settings.model_fields["temp_headroom_bytes"].default
            # An ext4 filesystem keeps up to 8 % for itself.
            assert int(container.settings["SLUICE_TEMP_BUDGET_BYTES"]) + headroom <= held * 0.92
