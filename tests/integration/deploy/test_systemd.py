"""deploy/systemd under a real systemd: the whole cell in its sandboxes, and what systemd's tools say of the units."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deploy.cli.processes import SEPARATE, SluiceProcesses
from deploy.embedded.http import answers
from deploy.embedded.process import wait_until
from pipeline.core.stages import WorkerType
from pipeline.settings import Settings
from tests.harness.deployment_files import DEPLOY, SYSTEMD, TARGET, UNITS, env_example, parse, seconds, unit
from tests.harness.installed import CODE, STATE
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import SharedStack
from tests.harness.systemd import Systemd, require_systemd, require_systemd_tools

pytestmark = pytest.mark.e2e

_GATEWAY, _WORKER = UNITS
_SECONDS = 60.0
# `systemd-analyze security`: 0 is no exposure, 10 is none of its measures; in tenths.
_MOST_EXPOSED = 15
_ELSEWHERE = {"filesystem_dir": f"{STATE}/store", "temp_dir": f"{STATE}/temp"}


class _Units(SluiceProcesses):
    """The processes of sluice-cell.target, as a system that has installed deploy/systemd runs them."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        workers: Mapping[str, Sequence[str]] = SEPARATE,
        port: int = 0,
        gateways: int = 2,
    ) -> None:
        super().__init__(directory, environment, workers=workers, port=port, gateways=gateways)
        units, etc, state = (directory / name for name in ("units", "etc", "state"))
        etc.mkdir()
        state.mkdir()
        shutil.copytree(SYSTEMD, units)
        text = (units / TARGET).read_text()
        self._gateways = [f"sluice-gateway@{url.rpartition(':')[2]}.service" for url in self.urls.values()]
        for ours, theirs in zip(re.findall(r"sluice-gateway@\d+\.service", text), self._gateways, strict=True):
            text = text.replace(ours, theirs)
        (units / TARGET).write_text(text)
        variables = {name: value for name, value in environment.items() if name.startswith("SLUICE_")}
        lines = [f"{name}={value}\n" for name, value in {**variables, "PYTHONPATH": CODE}.items()]
        (etc / "sluice.env").write_text("".join(lines))
        for kind in WorkerType:
            (etc / f"worker-{kind}.env").write_text(f"SLUICE_METRICS_PORT={self._ports.port(f'worker-{kind}')}\n")
        (etc / "worker-probe-2.env").write_text("TYPE=probe\n")
        self.systemd = Systemd(directory, units, etc, state)

    def start(self) -> None:
        self.systemd.__enter__()
        started = self.systemd.run("start", TARGET)
        assert started.returncode == 0, started.stderr
        ready = [f"{url}/readyz" for url in self.urls.values()]
        ready += [self.metrics_url(f"worker-{kind}").replace("/metrics", "/healthz") for kind in WorkerType]
        if not wait_until(lambda: all(map(answers, ready)), _SECONDS):
            pytest.fail("\n".join(f"{name}\n{self.systemd.log(name)}" for name in self.services))

    def stop(self) -> None:
        self.systemd.__exit__(None, None, None)
        super().stop()

    @property
    def services(self) -> list[str]:
        return [*self._gateways, *(f"sluice-worker@{kind}.service" for kind in WorkerType)]


async def test_the_whole_cell_runs_in_its_sandboxes(servers: SharedStack, tmp_path: Path) -> None:
    require_systemd()
    async with running_cell(servers, tmp_path, workers=SEPARATE, processes=_Units, **_ELSEWHERE) as cell:
        processes = cell.processes
        assert isinstance(processes, _Units)
        systemd = processes.systemd
        ready = await cell.upload(sample("mp4").read_bytes())
        assert (await cell.content(ready["id"]))["media"]["streams"]

        killed = systemd.properties("sluice-worker@probe.service", "MainPID", "User", "NRestarts")
        assert (killed["User"], killed["NRestarts"]) == ("sluice", "0")
        systemd.execute(["kill", "-KILL", killed["MainPID"]]).check_returncode()

        def is_back() -> bool:
            seen = systemd.properties("sluice-worker@probe.service", "MainPID", "NRestarts")
            return seen["NRestarts"] == "1" and seen["MainPID"] != "0"

        assert wait_until(is_back, _SECONDS)
        again = systemd.run("start", "sluice-worker@probe-2.service")
        assert again.returncode == 0, again.stderr
        assert wait_until(lambda: "process.started" in systemd.log("sluice-worker@probe-2.service"), _SECONDS)
        await cell.upload(sample("jpeg").read_bytes(), filename="photo.jpg", content_type="image/jpeg")

        services = [*processes.services, "sluice-worker@probe-2.service"]
        assert systemd.run("stop", TARGET).returncode == 0
        assert wait_until(lambda: not any(_is_active(systemd, name) for name in services), _SECONDS)
        # systemd keeps a service that did not end with status 0, or not in time, as failed.
        assert systemd.run("list-units", "--failed", "--plain", "--no-legend").stdout == ""
        assert {name: systemd.log(name).count("process.stopping") for name in services} == dict.fromkeys(services, 1)


def _is_active(systemd: Systemd, name: str) -> bool:
    return systemd.properties(name, "ActiveState")["ActiveState"] not in ("inactive", "failed")


def _installed(directory: Path) -> list[Path]:
    """The units, with a program that exists: `systemd-analyze verify` looks for it."""
    directory.mkdir()
    for path in SYSTEMD.iterdir():
        text = path.read_text().replace("/opt/sluice/bin/sluice", f"{Path(sys.executable).parent}/sluice")
        (directory / path.name).write_text(text)
    return [directory / name for name in (*UNITS, TARGET)]


def _verify(units: Sequence[Path]) -> str:
    """What systemd says of the units; empty: nothing."""
    require_systemd_tools()
    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    return checked.stdout + checked.stderr if checked.returncode else checked.stderr


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    assert _verify(_installed(tmp_path / "units")) == ""


@pytest.mark.parametrize("name", UNITS)
def test_a_service_is_hardly_exposed(name: str) -> None:
    require_systemd_tools()
    options = ["--offline=yes", f"--threshold={_MOST_EXPOSED}", "--no-pager"]
    checked = subprocess.run(
        ["systemd-analyze", "security", *options, str(SYSTEMD / name)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_gateways_and_workers_have_the_same_sandbox() -> None:
    gateway, worker = ((SYSTEMD / name).read_text().partition("# Below: the same")[2] for name in UNITS)
    assert gateway
    assert gateway == worker


def test_the_target_has_a_worker_of_each_type() -> None:
    wanted = " ".join(unit(TARGET)["Wants"]).split()
    workers = [name for name in wanted if name.startswith("sluice-worker@")]
    assert workers == [f"sluice-worker@{kind}.service" for kind in WorkerType]
    assert len(wanted) == len(workers) + 2
    for name in UNITS:
        assert (unit(name)["PartOf"], unit(name)["WantedBy"]) == ([TARGET], [TARGET])


def test_every_command_line_parses() -> None:
    assert parse(unit(_GATEWAY)["ExecStart"][0].split()) == "gateway"
    (command,) = unit(_WORKER)["ExecStart"]
    assert unit(_WORKER)["Environment"] == ["TYPE=%i"]
    for kind in WorkerType:
        assert parse(command.replace("$TYPE", kind).split()) == "worker"


def test_every_variable_is_a_setting() -> None:
    assert unit(_GATEWAY)["Environment"] == ["SLUICE_PORT=%i"]
    names = {name.removeprefix("SLUICE_").lower() for name in [*env_example(), "SLUICE_PORT"]}
    assert names <= set(Settings.model_fields)
    assert "SLUICE_METRICS_PORT" in (SYSTEMD / _WORKER).read_text()
    assert "metrics_port" in Settings.model_fields


def test_the_example_has_valid_values_and_no_secret() -> None:
    values = {name.removeprefix("SLUICE_").lower(): value for name, value in env_example().items() if value}
    Settings.model_validate(values)
    secrets = [name for name in env_example() if name.endswith(("_PASSWORD", "_KEY", "_SECRET"))]
    assert {env_example()[name] for name in secrets} == {""}
    assert len(secrets) == 3


def test_a_service_gets_more_time_to_stop_than_it_takes() -> None:
    longest = Settings.model_fields["shutdown_seconds"].default
    for name in UNITS:
        assert longest + 5 <= seconds(unit(name)["TimeoutStopSec"][0])
        assert f"({longest:g} by default)" in (SYSTEMD / name).read_text()


def test_paths_are_those_of_the_settings() -> None:
    temp = str(Settings.model_fields["temp_dir"].default)
    assert env_example()["SLUICE_TEMP_DIR"] == temp
    assert f"d {temp} 0700 sluice sluice" in re.sub(" +", " ", (SYSTEMD / "tmpfiles.conf").read_text())
    for name in UNITS:
        assert unit(name)["RequiresMountsFor"] == [temp]
        assert Path(temp).is_relative_to(unit(name)["ReadWritePaths"][0])


def test_a_second_cell_is_what_the_guide_says(tmp_path: Path) -> None:
    """The guide's command makes units of another cell, which share nothing with those of the first."""
    guide = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    (command,) = re.findall(r"```sh\n(# A second cell.*?)```", guide, re.DOTALL)
    units = _installed(tmp_path / "units")
    subprocess.run(["sh", "-euc", command], cwd=tmp_path / "units", check=True)
    second = [path.with_name(path.name.replace("sluice-", "sluice-east-")) for path in units]
    assert _verify(second) == ""
    ports = [re.findall(r"gateway@(\d+)", path.read_text()) for path in (units[-1], second[-1])]
    assert not set(ports[0]) & set(ports[1])
    for path in second:
        text = path.read_text()
        names = set(re.findall(r"[\w@-]+\.(?:service|target)", text))
        assert {name for name in names if "sluice-east-" not in name} <= {"multi-user.target", "network-online.target"}
        assert [line for line in text.splitlines() if "/etc/sluice/" in line and "/etc/sluice/east/" not in line] == []
        assert f"{STATE}/temp" not in text
