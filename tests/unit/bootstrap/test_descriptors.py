"""How many clients a gateway serves with a given limit of open files."""

from __future__ import annotations

import pytest

from deploy.cli.doctor.check_process import judge_descriptors
from deploy.cli.doctor.findings import Findings, Level
from pipeline.bootstrap.descriptors import MOST_CONNECTIONS, TooFewDescriptorsError, gateway_capacity
from pipeline.settings import Settings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("descriptors", [240, 256, 1024, 4096, 65_536, 1_048_576])
def test_what_serves_the_clients_is_kept(descriptors: int) -> None:
    settings = Settings(_env_file=None)
    capacity = gateway_capacity(settings, descriptors)
    assert 32 <= capacity.connections <= MOST_CONNECTIONS
    # Beside each client: the store's connection of a download; for all: temp files, Redis, PostgreSQL.
    used = capacity.connections + min(capacity.connections, settings.download_concurrency)
    assert used + settings.redis_connections + settings.database_pool + 32 + 32 < descriptors
    assert bool(capacity.warning) is (descriptors < 1024 + 512)


def test_more_connections_than_the_limit_allows_are_a_warning() -> None:
    settings = Settings(_env_file=None, connections=2000)
    assert gateway_capacity(settings, 65_536).connections == 2000
    few = gateway_capacity(settings, 1024)
    assert few.connections < 1024
    assert "1024" in few.warning


def test_fewer_connections_than_advised_are_no_warning_if_they_are_wanted() -> None:
    capacity = gateway_capacity(Settings(_env_file=None, connections=100), 1024)
    assert (capacity.connections, capacity.warning) == (100, "")


def test_a_gateway_that_could_serve_nobody_does_not_start() -> None:
    with pytest.raises(TooFewDescriptorsError, match="ulimit -n 4096"):
        gateway_capacity(Settings(_env_file=None), 128)


@pytest.mark.parametrize(("descriptors", "level"), [(128, Level.ERROR), (1024, Level.WARNING), (65_536, Level.OK)])
def test_doctor_judges_it(descriptors: int, level: Level) -> None:
    findings = Findings("process")
    judge_descriptors(Settings(_env_file=None), descriptors, findings)
    (found,) = findings.all
    assert found.level is level
    assert (level is Level.OK) == (found.advice == "")
