"""The expressions of the dashboard, the alert rules, the ScaledObjects and the table of docs/scaling.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.harness.manifests import of_kind

REPOSITORY: Final = Path(__file__).parents[2]
GRAFANA: Final = REPOSITORY / "deploy" / "grafana"
DASHBOARD: Final = GRAFANA / "dashboards" / "sluice-cell.json"
RULES: Final = GRAFANA / "alerts.yaml"
RULE_TESTS: Final = GRAFANA / "alerts.test.yaml"
SCALING: Final = REPOSITORY / "docs" / "scaling.md"
# The values that Grafana puts in for its variables
_VARIABLES: Final = {"$__rate_interval": "1m", "$__range": "1h", "$cell": ".*", "$volume": ".*"}


def with_values(expression: str) -> str:
    """An expression of the dashboard with values for its variables, as Grafana sends it."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def panels() -> list[Mapping[str, Any]]:
    """Without rows."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def rules() -> Mapping[str, Mapping[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def dashboard_expressions() -> dict[str, str]:
    return {
        f"dashboard: {panel['title']} {target['refId']}": with_values(target["expr"])
        for panel in panels()
        for target in panel["targets"]
    }


def expressions() -> dict[str, str]:
    """Every expression, by where it is."""
    return {
        **dashboard_expressions(),
        **{f"rule: {name}": rule["expr"] for name, rule in rules().items()},
        **{
            f"ScaledObject: {document['metadata']['name']} {trigger['name']}": trigger["metadata"]["query"]
            for document in of_kind("autoscale", "ScaledObject")
            for trigger in document["spec"]["triggers"]
        },
        **{f"{SCALING.name}: {found}": found for found in scaling_figures()},
    }


def scaling_rows() -> Iterator[list[str]]:
    """The cells of each row of the table in docs/scaling.md."""
    table = SCALING.read_text().partition("<!-- figures -->")[2].partition("<!-- /figures -->")[0]
    for line in table.strip().splitlines()[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def scaling_figures() -> list[str]:
    """What the first column of that table names, as expressions."""
    return [code.replace("\\|", "|") for row in scaling_rows() for code in re.findall(r"`([^`]+)`", row[0])]
