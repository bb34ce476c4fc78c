"""deploy/container and deploy/compose: what tools and the code say of the files. `test_containers` runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.stages import DISK_BOUND, WorkerType
from pipeline.settings import Settings
from tests.harness.deployment_files import (
    COMPOSE,
    DEPLOY,
    DOCKERFILE,
    compose,
    compose_example,
    compose_variables,
    dockerfile,
    health_timing,
    image,
    image_command,
    image_environment,
    parse,
    seconds,
)
from tests.harness.system_packages import require_programs

pytestmark = pytest.mark.integration

_FILLED = {name: value or "0123456789abcdef" * 4 for name, value in compose_example().items()} | {
    "PUBLIC_URL": "https://upload.example",
    "S3_PUBLIC_URL": "https://objects.example",
}
_TOOLS = Path(sys.executable).parent
_TEMP = "/var/lib/sluice/temp"


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = compose(_FILLED)["services"]
    return services


def _sluice() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in _services().items() if service["image"].startswith("sluice:")}


def test_hadolint_accepts_the_dockerfile() -> None:
    checked = subprocess.run([str(_TOOLS / "hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_builder_receives_what_it_copies_and_no_secrets() -> None:
    text = DOCKERFILE.read_text().partition("\nFROM python:3.11-slim-bookworm\n")[0]
    copied = {source for line in re.findall(r"^COPY (.+)", text, re.MULTILINE) for source in line.split()[:-1]}
    everything, *rules = [
        line for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line[:1] != "#"
    ]
    assert everything == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert COMPOSE.relative_to(DEPLOY.parent).as_posix() in rules


def test_the_compose_file_matches_the_specification() -> None:
    options = ["--builtin-schema", "vendor.compose-spec"]
    command = [str(_TOOLS / "check-jsonschema"), *options, str(COMPOSE / "compose.yaml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_there_is_a_service_for_each_worker_type() -> None:
    commands = [service["command"] for service in _sluice().values()]
    assert commands == [["gateway"], *(["worker", str(kind)] for kind in WorkerType)]
    assert compose(_FILLED)["services"]["gateway"]["deploy"]["replicas"] == 2


def test_gateways_and_disk_bound_workers_share_the_temp_volume() -> None:
    with_volume = {name for name, service in _sluice().items() if f"temp:{_TEMP}" in service["volumes"]}
    assert with_volume == {"gateway", *(f"worker-{kind}" for kind in DISK_BOUND)}
    assert _sluice()["gateway"]["environment"]["SLUICE_TEMP_DIR"] == _TEMP
    assert any(f"--owner sluice --group sluice {_TEMP}" in argument for _, argument in dockerfile())


def test_every_command_line_parses() -> None:
    assert parse([*image_command("ENTRYPOINT"), "gateway"]) == "gateway"
    for service in _sluice().values():
        parse([*image_command("ENTRYPOINT"), *service["command"]])
    guide = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    commands = re.findall(r"docker compose run --rm -T gateway ([^>\n]+)", guide)
    assert [parse(["sluice", *command.split()]) for command in commands] == ["doctor", "key", "key"]


def test_every_variable_is_a_setting_with_a_valid_value() -> None:
    for service in _sluice().values():
        values = {**image_environment(), **service["environment"]}
        names = {name.removeprefix("SLUICE_").lower(): name for name in values if name.startswith("SLUICE_")}
        assert [name for setting, name in names.items() if setting not in Settings.model_fields] == []
        Settings.model_validate({setting: values[name] for setting, name in names.items()})


def test_the_example_has_every_variable_and_no_secret() -> None:
    example = compose_example()
    assert set(example) == compose_variables()
    secrets = [name for name in example if name.endswith(("_PASSWORD", "_KEY", "_SECRET"))]
    assert {example[name] for name in secrets} == {""}
    assert len(secrets) == 6
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", ".env", "secrets/metrics-key"],
        cwd=COMPOSE,
        capture_output=True,
        text=True,
    )
    if (DEPLOY.parent / ".git").exists():
        assert ignored.stdout.split() == [".env", "secrets/metrics-key"]


@pytest.mark.parametrize("name", [name for name, value in compose_example().items() if not value])
def test_an_empty_required_variable_is_refused(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        compose({**_FILLED, name: ""})


def test_defaults_are_those_of_the_example() -> None:
    optional = {name: value for name, value in compose_example().items() if value}
    assert compose(_FILLED) == compose({**_FILLED, **dict.fromkeys(optional, "")})


@pytest.mark.parametrize("name", list(_services()))
def test_a_service_has_no_privileges_restarts_and_is_checked(name: str) -> None:
    service = _services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)


def test_the_image_has_no_root_and_one_health_check() -> None:
    assert image("USER") == "10001:10001"
    assert "--uid 10001" in image("RUN")
    assert image("STOPSIGNAL") == "SIGTERM"
    for service in _sluice().values():
        assert "user" not in service
        check = service["healthcheck"]
        assert check["test"] == ["CMD", *image_command("HEALTHCHECK")]
        assert {name: str(check[name]) for name in health_timing()} == health_timing()


def test_containers_get_more_time_to_stop_than_a_process_takes() -> None:
    longest = Settings.model_fields["shutdown_seconds"].default
    for service in _sluice().values():
        assert "SLUICE_SHUTDOWN_SECONDS" not in service["environment"]
        assert longest + 5 <= seconds(service["stop_grace_period"])
    assert seconds(_services()["nginx"]["stop_grace_period"]) >= longest + 5


def test_every_port_is_that_of_the_image() -> None:
    port = image("EXPOSE")
    assert {image_environment()[name] for name in ("SLUICE_PORT", "SLUICE_METRICS_PORT")} == {port}
    scraped = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())["scrape_configs"]
    found = [names for job in scraped for names in job["dns_sd_configs"]]
    assert {str(names["port"]) for names in found} == {port}
    assert {name for names in found for name in names["names"]} == {"gateway", "worker"}
    assert f"server gateway:{port} resolve;" in (COMPOSE / "nginx.conf").read_text()
    aliases = {name: service["networks"] for name, service in _sluice().items() if name != "gateway"}
    assert [name for name, networks in aliases.items() if networks["front"]["aliases"] != ["worker"]] == []


def test_the_s3_server_has_the_port_that_everything_else_uses() -> None:
    services = _services()
    port = services["s3"]["environment"]["VGW_PORT"]
    assert services["gateway"]["environment"]["SLUICE_S3_ENDPOINT_URL"] == f"http://s3{port}"
    assert f"server s3{port} resolve;" in (COMPOSE / "nginx.conf").read_text()


def test_every_file_that_is_mounted_exists() -> None:
    mounts = [volume.split(":") for service in _services().values() for volume in service.get("volumes", ())]
    files = [source for source, *_ in mounts if source.startswith(".")]
    assert len(files) == 6
    assert [source for source in files if not (COMPOSE / source).exists()] == []
    assert {source for source, *_ in mounts} - set(files) == set(compose(_FILLED)["volumes"])


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    require_programs(["promtool"], ["prometheus"])
    text = (COMPOSE / "prometheus.yml").read_text()
    for path in ("/etc/prometheus/alerts.yaml", "/run/secrets/metrics-key"):
        assert path in text
        text = text.replace(path, str(tmp_path / Path(path).name))
    (tmp_path / "alerts.yaml").write_text("groups: []\n")
    (tmp_path / "metrics-key").touch()
    (tmp_path / "prometheus.yml").write_text(text)
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_grafana_loads_the_dashboards_that_are_mounted() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "sluice.yaml").read_text())["providers"]
    volumes = dict(reversed(volume.split(":")[:2]) for volume in _services()["grafana"]["volumes"])
    assert volumes[provider["options"]["path"]] == "../grafana/dashboards"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
