"""Dashboard, alert rules and docs/scaling.md name what the code exports, with labels and values that exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from pipeline.adapters.media.verdicts import Verdict
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.lifecycle import Status
from pipeline.core.retry import _OUTAGES
from pipeline.core.stages import Stage, WorkerType
from pipeline.settings import Settings
from tests.harness.manifests import KUBERNETES, OVERLAYS, containers
from tests.harness.monitoring import (
    DASHBOARD,
    REPOSITORY,
    RULE_TESTS,
    RULES,
    SCALING,
    expressions,
    panels,
    rules,
    scaling_rows,
)
from tests.harness.prometheus import require_prometheus
from tests.harness.promql import SYNTHETIC, TARGET_LABELS, Named, admits, exported, grouped_by, named

pytestmark = pytest.mark.integration

SERIES = exported()
VALUES: dict[str, Iterable[str]] = {
    "code": CATALOGUE,
    "type": WorkerType,
    "stage": Stage,
    "outcome": Verdict,
}
FAILURES = REPOSITORY / "docs" / "alerts.md"


def anchors(text: str) -> set[str]:
    return {heading.lower() for heading in re.findall(r"^## (\w+)$", text, re.MULTILINE)}


def labels_of(one: Named) -> frozenset[str]:
    return TARGET_LABELS if one.metric in SYNTHETIC else SERIES[one.metric] | TARGET_LABELS


@pytest.mark.parametrize(("where", "expression"), expressions().items())
def test_an_expression_names_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    found = list(named(expression))
    unknown = [one.metric for one in found if one.metric not in SERIES and one.metric not in SYNTHETIC]
    assert unknown == []
    for one in found:
        assert one.labels <= labels_of(one), one
    grouping = grouped_by(expression)
    assert all(grouping <= labels_of(one) for one in found if grouping), grouping


@pytest.mark.parametrize(("where", "expression"), expressions().items())
def test_a_value_that_an_expression_demands_exists(where: str, expression: str) -> None:
    for one in named(expression):
        for label, operator, pattern in one.matchers:
            known = Status if (label, "upload" in one.metric) == ("status", True) else VALUES.get(label)
            if known is None or operator.startswith("Not"):
                continue
            for part in pattern.split("|") if "(" not in pattern else [pattern]:
                assert any(admits(operator, part, str(value)) for value in known), (one, part)


def test_there_is_a_rule_for_every_outage() -> None:
    admitted: dict[str, set[str]] = {"sluice_stage_retries_total": set(), "sluice_uploads_ended_total": set()}
    for rule in rules().values():
        for one in named(rule["expr"]):
            for label, operator, pattern in one.matchers:
                if label == "code" and one.metric in admitted:
                    admitted[one.metric] |= {code for code in CATALOGUE if admits(operator, pattern, code)}
    assert admitted["sluice_stage_retries_total"] == set(_OUTAGES)
    # No upload fails while Redis, which would have to record it, is unavailable.
    assert admitted["sluice_uploads_ended_total"] == set(_OUTAGES) - {"REDIS_UNAVAILABLE"}


@pytest.mark.parametrize(("name", "rule"), rules().items())
def test_a_rule_says_what_it_means_and_what_to_do(name: str, rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert (REPOSITORY / path).resolve() == FAILURES
    assert anchor == name.lower()
    assert anchor in anchors(FAILURES.read_text())
    settings = re.findall(r"SLUICE_(\w+)", " ".join(rule["annotations"].values()))
    assert [each for each in settings if each.lower() not in Settings.model_fields] == []


def test_the_guide_has_no_alert_that_does_not_exist() -> None:
    assert anchors(FAILURES.read_text()) == {name.lower() for name in rules()}


def test_the_rules_are_valid_and_do_what_their_tests_expect() -> None:
    require_prometheus()
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(RULE_TESTS)]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_scrape_jobs_for_kubernetes_are_valid_and_read_every_port(tmp_path: Path) -> None:
    """Debian's Prometheus is built without Kubernetes, so targets take the place of pods here."""
    require_prometheus()
    configuration = yaml.safe_load((KUBERNETES / "prometheus.example.yaml").read_text())
    kept: set[str] = set()
    for job in configuration["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["sluice"]}}]
        job["static_configs"] = [{"targets": ["pod:1"]}]
        (keep,) = [rule for rule in job["relabel_configs"] if rule.get("action") == "keep"]
        names = {container.spec["ports"][0]["name"] for overlay in OVERLAYS for container in containers(overlay)}
        found = {name for name in names if re.fullmatch(keep["regex"], f"sluice;{name}")}
        assert not kept & found
        assert ("authorization" in job) == (found == {"http"})
        kept |= found
    assert kept == names
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    done = subprocess.run(["promtool", "check", "config", "--syntax-only", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_tested_when_it_fires_and_when_it_does_not() -> None:
    outcomes: dict[str, set[bool]] = {}
    for test in yaml.safe_load(RULE_TESTS.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            outcomes.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert outcomes == {name: {True, False} for name in rules()}


def test_panels_have_a_name_and_a_data_source() -> None:
    identifiers = [panel["id"] for panel in panels()]
    assert len(set(identifiers)) == len(identifiers)
    assert len({panel["title"] for panel in panels()}) == len(identifiers)
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
    assert '"uid": "sluice-cell"' in DASHBOARD.read_text()


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_table_of_figures_names_settings_and_worker_types_that_exist() -> None:
    text = SCALING.read_text()
    settings = [name for name in re.findall(r"SLUICE_([A-Z_]+)", text) if name.lower() not in Settings.model_fields]
    assert settings == []
    rows = list(scaling_rows())
    assert {len(row) for row in rows} == {4}
    figures = {
        one.metric
        for row in rows
        for code in re.findall(r"`([^`]+)`", row[0])
        for one in named(code.replace("\\|", "|"))
    }
    # Each pool can be found by the type that its rows name.
    mentioned = {kind for kind in WorkerType for row in rows if f"`{kind}`" in row[2]}
    assert mentioned == set(WorkerType)
    assert figures
