"""Generates the reference in docs/: settings, error codes, metrics, commands, routes and access.

    python -m deploy.reference      in the repository, as `make docs` does

Guarantee: the documents list exactly what the code defines. A test fails when they differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from pydantic import SecretStr

from deploy.access_table import access_table
from deploy.command_reference import command_reference
from deploy.route_reference import linked, route_reference
from pipeline import telemetry
from pipeline.core.error_codes import CATALOGUE
from pipeline.settings import Settings


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "" or value == ():
        return ""
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


def settings_table() -> str:
    """Every setting, its default and its meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows += [f"| `SLUICE_{name.upper()}` | {_default(field.default)} | {linked(field.description or '')} |"]
    return "\n".join(rows)


def errors_table() -> str:
    """Every error code, its HTTP status, and whether the same request may succeed later."""
    rows = ["| code | status | try again | message |", "|---|---|---|---|"]
    for code, spec in CATALOGUE.items():
        rows += [f"| `{code}` | {spec.http_status} | {'yes' if spec.retryable else 'no'} | {spec.message} |"]
    return "\n".join(rows)


def _exported(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def metrics_table() -> str:
    """Every metric that /metrics shows."""
    rows = ["| metric | type | meaning |", "|---|---|---|"]
    for metric in telemetry.REGISTRY.collect():
        rows += [f"| `{_exported(metric)}` | {metric.type} | {metric.documentation} |"]
    return "\n".join(rows)


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "docs/reference/settings.md": {"settings": settings_table},
    "docs/reference/errors.md": {"errors": errors_table},
    "docs/reference/metrics.md": {"metrics": metrics_table},
    "docs/reference/commands.md": {"commands": command_reference},
    "docs/reference/http-api.md": {"routes": route_reference},
    "docs/access.md": {"access": access_table},
}
"""Document -> the parts of it that are generated."""


def with_tables(document: str, text: str) -> str:
    """`text` with what is between each pair of markers replaced. Raises ValueError when a marker is missing."""
    for name, make in TABLES[document].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        table = make()
        text, count = pattern.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the markers of {name} are missing")
    return text


if __name__ == "__main__":
    for document in TABLES:
        path = Path(document)
        path.write_text(with_tables(document, path.read_text("utf-8")), "utf-8")
