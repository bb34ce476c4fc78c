"""How `sluice doctor` judges PostgreSQL, and what it advises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.cli.doctor.check_database import judge_facts
from deploy.cli.doctor.database_advice import advice_for
from deploy.cli.doctor.findings import Findings, Level
from pipeline.adapters.postgres.inspection import DatabaseFacts

pytestmark = pytest.mark.unit

GOOD = DatabaseFacts(
    version=(18, 1),
    pooled=False,
    standby=False,
    database="media",
    role="app",
    encoding="UTF8",
    connections={"max_connections": (10, 100), "CONNECTION LIMIT of the user": (5, -1)},
    settings={"statement_timeout": "0", "lock_timeout": "0", "default_transaction_read_only": "off"},
    overrides={},
)


def judged(**more: Any) -> Findings:
    findings = Findings("PostgreSQL")
    judge_facts(replace(GOOD, **more), findings)
    return findings


def test_a_correctly_configured_server_is_ok() -> None:
    assert {finding.level for finding in judged().all} == {Level.OK}
    assert {finding.level for finding in judged(pooled=True).all} == {Level.OK}
    assert {finding.level for finding in judged(settings={"statement_timeout": "60000"}).all} == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "level", "advice"),
    [
        ({"version": (12, 9)}, Level.ERROR, "13 or newer"),
        ({"encoding": "LATIN1"}, Level.ERROR, "UTF8"),
        ({"standby": True}, Level.ERROR, "primary"),
        (
            {"settings": {"default_transaction_read_only": "on"}, "overrides": {"default_transaction_read_only": True}},
            Level.ERROR,
            'ALTER ROLE "app" RESET default_transaction_read_only',
        ),
        (
            {"settings": {"statement_timeout": "1"}, "overrides": {"statement_timeout": False}},
            Level.ERROR,
            'ALTER DATABASE "media" RESET statement_timeout',
        ),
        ({"settings": {"lock_timeout": "5"}}, Level.ERROR, "ALTER SYSTEM RESET lock_timeout"),
        ({"settings": {"transaction_timeout": "5"}}, Level.ERROR, "RESET transaction_timeout"),
        ({"connections": {"max_connections": (95, 100)}}, Level.WARNING, "max_connections"),
        ({"connections": {"CONNECTION LIMIT of the user": (5, 5)}}, Level.WARNING, "CONNECTION LIMIT"),
    ],
)
def test_one_problem_is_reported_with_advice(facts: dict[str, Any], level: Level, advice: str) -> None:
    [found] = [finding for finding in judged(**facts).all if finding.level is not Level.OK]
    assert found.level is level
    assert advice in found.advice


@pytest.mark.parametrize("sqlstate", [None, "57014", "08006", "53100", "XX000", "P0002", "25P02", "ZZ999"])
def test_every_error_has_advice(sqlstate: str | None) -> None:
    assert advice_for(sqlstate).endswith((".", "NAME", "migrate"))
