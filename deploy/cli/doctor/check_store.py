"""Checks what the store of new uploads can do: a round trip through it, also by a client that has only presigned
URLs."""

from __future__ import annotations

from deploy.cli.doctor.findings import Findings
from deploy.cli.doctor.store_advice import advice, where
from deploy.cli.formatting import format_bytes
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.bootstrap import open_store
from pipeline.contents.round_trip import examine_store
from pipeline.core.capabilities import CAPABILITIES, Examined, StoreReport
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits
from pipeline.settings import Settings


async def check_store(settings: Settings, findings: Findings) -> None:
    """Uses the same adapter as the gateway and the workers, and the same examination as the gateway."""
    try:
        async with open_store(settings) as store, HttpPlainClient() as client:
            report = await examine_store(store, client, thorough=True)
    except StoreError as error:  # it is not configured, or its settings are invalid
        findings.error(str(error), f"Check the settings of the store. {where(settings)}")
        return
    judge_report(report, settings, findings)
    if settings.store == "swift" and settings.swift_tempurl_key and settings.swift_tempurl_digest == "sha1":
        findings.warning(
            "TempURLs are signed with SHA-1 unless the cluster allows a stronger digest",
            "SHA-1 is deprecated; set SLUICE_SWIFT_TEMPURL_DIGEST=sha256 where the cluster allows it.",
        )


def judge_report(report: StoreReport, settings: Settings, findings: Findings) -> None:
    """One finding for each capability, with what follows where it does not work."""
    if report.description:
        findings.ok(report.description)
    if report.limits is not None:
        findings.ok(_limits(report.limits))
    for found in report.examined:
        _judge(found, settings, findings)


def _judge(found: Examined, settings: Settings, findings: Findings) -> None:
    spec = CAPABILITIES[found.capability]
    what = f"{found.capability}: {found.verdict}"
    if found.works:
        findings.ok(what)
        return
    text, hint = f"{what}: {found.reason}", f"{spec.without} {advice(found, settings)}".rstrip()
    if spec.required:
        findings.error(text, hint)
    elif found.offered:
        findings.warning(text, hint)
    else:
        findings.ok(text, hint)


def _limits(limits: StoreLimits) -> str:
    shortest, longest = format_bytes(limits.min_segment_bytes), format_bytes(limits.max_segment_bytes)
    return (
        f"limits: an object has at most {limits.max_segments} segments of {shortest} to {longest}, and "
        f"{format_bytes(limits.max_object_bytes)}"
    )
