"""Dashboard, alert rules, ScaledObjects and docs/scaling.md, against what a running stack exports to Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.cli.processes import SEPARATE
from deploy.embedded.process import run_all
from pipeline.core.stages import WorkerType
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.monitoring import RULES, expressions, rules
from tests.harness.prometheus import Prometheus, require_prometheus, running_prometheus
from tests.harness.promql import SYNTHETIC, exported, named
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_SECONDS = 60.0
# What has no sample until something happens that does not happen here, such as a failure
_ONLY_AFTER = {
    "sluice_temp_volume_errors_total",
    "sluice_stage_retries_total",
    "sluice_stage_takeovers_total",
    "sluice_refusals_total",
    "sluice_connections_closed_total",
    "sluice_appends_total",
    "sluice_volume_closed",
}


@pytest.fixture
async def stack(servers: Servers, tmp_path: Path) -> AsyncIterator[tuple[Cell, Prometheus]]:
    """A cell of one gateway and a process for each worker type, which has made one upload ready, and a Prometheus that
    has read the metrics of all of them since."""
    require_prometheus()
    async with AsyncExitStack() as exits:
        cell = await exits.enter_async_context(
            running_cell(servers, tmp_path, workers=SEPARATE, temp_budget_bytes=64 * 1024**2)
        )
        await cell.upload(sample("mp4").read_bytes())
        names = {"sluice-gateways": ["gateway"], "sluice-workers": list(SEPARATE)}
        jobs = {job: [cell.processes.metrics_url(name) for name in each] for job, each in names.items()}
        prometheus = await exits.enter_async_context(running_prometheus(tmp_path, jobs, RULES, {"cell": "a"}))

        async def read() -> bool:
            up = await prometheus.query("up")
            return len(up) == 1 + len(SEPARATE) and all(sample["value"][1] == "1" for sample in up)

        await eventually(read, _SECONDS, lambda: "Prometheus to have read every process")
        yield cell, prometheus
        await cell.until_clean()


async def test_every_figure_is_exported_and_no_rule_fires(stack: tuple[Cell, Prometheus]) -> None:
    cell, prometheus = stack
    described = await prometheus.described()
    series = exported()
    for where, expression in expressions().items():
        await prometheus.query(expression)  # raises where Prometheus cannot evaluate it
        for one in named(expression):
            if one.metric in SYNTHETIC:
                continue
            assert one.metric in series, f"{where}: {one.metric}"
            base = one.metric.removesuffix("_count").removesuffix("_sum").removesuffix("_bucket")
            assert {one.metric, base} & described, f"{where}: no process exports {one.metric}"
    empty: list[str] = []

    async def all_have_samples() -> bool:
        """A machine that is busy may delay a response beyond its time; the next one follows a second later."""
        empty.clear()
        for where, expression in expressions().items():
            if (
                where.startswith("rule: ")
                or "[" in expression
                or _ONLY_AFTER & {one.metric for one in named(expression)}
            ):
                continue
            samples = await prometheus.query(expression)
            empty.extend([] if samples else [where])
            assert len(samples) <= 1 or not where.startswith("ScaledObject"), "KEDA takes one sample"
        return not empty

    await eventually(all_have_samples, _SECONDS, lambda: f"samples of {empty}")

    evaluated: dict[str, tuple[str, str | None]] = {}

    async def all_evaluated() -> bool:
        (group,) = (await prometheus.get("rules"))["groups"]
        evaluated.update({rule["name"]: (rule["health"], rule.get("lastError")) for rule in group["rules"]})
        return "unknown" not in {health for health, _ in evaluated.values()}

    await eventually(all_evaluated, _SECONDS, lambda: f"every rule to be evaluated: {evaluated}")
    assert evaluated == dict.fromkeys(rules(), ("ok", None))

    async def calm() -> bool:
        return not (await prometheus.get("alerts"))["alerts"]

    await eventually(calm, _SECONDS, lambda: "no rule to fire in a stack that works")

    admission = cell.processes.child(f"worker-{WorkerType.ADMISSION}")
    admission.stop()

    async def noticed() -> bool:
        alerts = (await prometheus.get("alerts"))["alerts"]
        return "SluiceNoAdmissionWorker" in {alert["labels"]["alertname"] for alert in alerts}

    await eventually(noticed, _SECONDS, lambda: "an alert that no admission worker runs")
    run_all([admission.bring_up()])
