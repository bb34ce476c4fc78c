"""Checks what the operating system allows a gateway: files and connections."""

from __future__ import annotations

from deploy.cli.doctor.findings import Findings
from pipeline.bootstrap.descriptors import TooFewDescriptorsError, gateway_capacity, raise_descriptor_limit
from pipeline.settings import Settings


async def check_process(settings: Settings, findings: Findings) -> None:
    """How many clients a gateway with these settings could serve, by the limits of this shell."""
    judge_descriptors(settings, raise_descriptor_limit(), findings)


def judge_descriptors(settings: Settings, descriptors: int, findings: Findings) -> None:
    """Judge the limit of open files."""
    try:
        capacity = gateway_capacity(settings, descriptors)
    except TooFewDescriptorsError as error:
        findings.error("a gateway would not start", f"{error}.")
        return
    what = f"limit of open files {descriptors}: a gateway serves up to {capacity.connections} connections at once"
    if capacity.warning:
        findings.warning(what, capacity.warning)
    else:
        findings.ok(what)
