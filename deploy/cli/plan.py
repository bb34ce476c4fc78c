"""`sluice plan`: what a load needs, from constants that the benchmark has measured (docs/planning.md)."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from deploy.cli.options import json_option

if TYPE_CHECKING:  # imported when the command runs, so that --help is fast
    from deploy.cli.plan_constants import MediaKind
    from deploy.cli.plan_model import Limits, Load
    from pipeline.settings import Settings

_DECIMAL: Final = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_BINARY: Final = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
_AMOUNT: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?i?)(B|bit)?(/s)?", re.IGNORECASE)
_MOST_PER_HOUR: Final = 1e9


class _Bytes(click.ParamType[float]):
    """Bytes, such as 200KB, 1.5GiB or 73400320; of a rate, also 20Mbit/s."""

    name = "bytes"

    def __init__(self, *, rate: bool) -> None:
        self._rate = rate

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = _AMOUNT.fullmatch(str(value).strip())
        units = {name.lower(): factor for name, factor in {**_DECIMAL, **_BINARY}.items()}
        if found is None or found[2].lower() not in units or (not self._rate and (found[3] == "bit" or found[4])):
            form = "a number and a unit, such as 5MiB/s or 20Mbit/s" if self._rate else "such as 200KB or 1.5GiB"
            self.fail(f"{value!r} is not {form}", param, ctx)
        amount = float(found[1]) * units[found[2].lower()] / (8 if (found[3] or "").lower() == "bit" else 1)
        if amount < 1:
            self.fail("it is below one byte" + " per second" * self._rate, param, ctx)
        return amount


def _positive(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not (math.isfinite(value) and 0 < value <= _MOST_PER_HOUR):
        raise click.BadParameter(f"{value:g} is not a number above 0, and at most {_MOST_PER_HOUR:g}")
    return value


@click.command()
@click.option("--uploads-per-hour", required=True, type=float, callback=_positive, help="Files that arrive per hour.")
@click.option("--size", required=True, type=_Bytes(rate=False), help="Size of each file, such as 200KB or 1.5GiB.")
@click.option(
    "--client-rate",
    required=True,
    type=_Bytes(rate=True),
    help="How fast one client sends a file, such as 5MiB/s or 20Mbit/s.",
)
@click.option(
    "--media",
    type=click.Choice(["photo", "video"]),
    default="video",
    show_default=True,
    help="What the files are; reading them costs differently.",
)
@click.option(
    "--constants",
    type=click.Path(path_type=Path),
    help="File of constants, as `make plan-constants` writes it. By default those that come with Sluice.",
)
@json_option("Print one JSON object.")
def plan(
    uploads_per_hour: float,
    size: float,
    client_rate: float,
    media: MediaKind,
    constants: Path | None,
    as_json: bool,
) -> None:
    """Show what a load needs: temp volume, gateways, workers of each type, Redis and PostgreSQL.

    The figures follow from constants that were measured on one machine, which the output names, and from the SLUICE_*
    settings. docs/planning.md explains the formulas.

    \b
    sluice plan --uploads-per-hour 600 --size 100MiB --client-rate 20Mbit/s
    """
    from deploy.cli.plan_constants import MEASURED, read_constants
    from deploy.cli.plan_errors import PlanError
    from deploy.cli.plan_model import make_plan
    from deploy.cli.plan_text import plan_json, plan_lines
    from pipeline.settings import Settings

    try:
        measured, settings = read_constants(constants or MEASURED), Settings()
        load = _load(uploads_per_hour, math.ceil(size), client_rate, media, settings)
        made = make_plan(load, measured, _limits(settings))
    except PlanError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"error": {"code": error.code, "message": error.message}}))
        raise SystemExit(1) from None
    if as_json:
        click.echo(json.dumps(plan_json(made, measured)))
    else:
        click.echo("\n".join(plan_lines(made, measured)))


def _load(uploads_per_hour: float, size_bytes: int, client_rate: float, kind: MediaKind, settings: Settings) -> Load:
    """Raises PlanError for a file that could never be uploaded."""
    from deploy.cli.formatting import format_bytes, format_seconds
    from deploy.cli.plan_errors import PlanError
    from deploy.cli.plan_model import SEGMENTS_AT_ONCE, Load
    from pipeline.adapters.object_store.limits import FILESYSTEM_LIMITS, S3_LIMITS, SWIFT_LIMITS
    from pipeline.core.errors import RequestError
    from pipeline.core.segments import plan_segments

    limits = {"swift": SWIFT_LIMITS, "s3": S3_LIMITS, "filesystem": FILESYSTEM_LIMITS}[settings.store]
    try:
        segments = plan_segments(size_bytes, limits, settings.segment_bytes)
    except RequestError as error:
        largest = format_bytes(limits.max_object_bytes)
        raise PlanError(error.code, f"The store {settings.store} takes no file above {largest}.") from None
    load = Load(uploads_per_hour, segments, client_rate, kind)
    if load.send_seconds > settings.upload_deadline_seconds:
        raise PlanError(
            "UPLOAD_DEADLINE",
            f"A client needs {format_seconds(load.send_seconds)} to send the file, and an upload expires after"
            f" {format_seconds(settings.upload_deadline_seconds)} (SLUICE_UPLOAD_DEADLINE_SECONDS).",
        )
    at_once = min(SEGMENTS_AT_ONCE, segments.count)
    seconds = at_once * segments.length(1) / client_rate
    if seconds > settings.segment_deadline_seconds:
        raise PlanError(
            "SEGMENT_STALLED",
            f"A client needs {format_seconds(seconds)} to send {at_once} segments of {format_bytes(segments.length(1))}"
            f" at once, and a request is aborted after {format_seconds(settings.segment_deadline_seconds)}"
            " (SLUICE_SEGMENT_DEADLINE_SECONDS). Shorter segments help: SLUICE_SEGMENT_BYTES.",
        )
    return load


def _limits(settings: Settings) -> Limits:
    from deploy.cli.plan_model import Limits

    return Limits(
        settings.retention_seconds, settings.temp_share, settings.stage_concurrency, settings.media_concurrency
    )
