"""Routes of the dashboard: the state of the cells, uploads by search, the timeline of one upload, retries of stages.

They are for operators: volumes, queues and workers are shared by all owners. An owner follows its uploads with the
routes of uploads.
"""

from __future__ import annotations

from aiohttp import web
from pydantic import ConfigDict, Field

from gateway import access
from gateway.api.overviews import merged_overviews
from gateway.api.shared import PageQuery, parse_query, show_upload
from gateway.api.spanning import Part, from_others, merged
from gateway.api.views import timeline_view
from gateway.error_codes import LIST_ERRORS, REDIS_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.http import cursors
from gateway.http.bodies import invalid_field
from gateway.http.cursors import Position
from gateway.http.envelope import success
from gateway.ids import upload_id
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.core.lifecycle import Status
from pipeline.core.stages import Stage
from schemas import overview_examples
from schemas.cells import CellFilter
from schemas.overview import FoundPage, Overview, OverviewQuery, StageRetry, Timeline
from schemas.owners import OwnerFilter


class UploadSearch(OwnerFilter, CellFilter, PageQuery):
    """Query of `GET /v1/status/uploads`."""

    model_config = ConfigDict(json_schema_extra={"examples": [overview_examples.SEARCH]})

    search: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="The beginning of an id, or a part of the file name, whatever the case of ASCII letters",
    )
    status: Status | None = Field(None, description="Only uploads with this status")


async def overview(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, OverviewQuery)
    others = await from_others(request, query, Overview)
    own = request.app[SERVICES].other_cells.own
    overviews = {own: await request.app[SERVICES].overview.read(query.history_after), **others.found}
    return success(merged_overviews(own, overviews, others.unreachable))


async def search(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, UploadSearch)
    digest = cursors.query_digest(query)
    before = cursors.decode(query.cursor, digest).pair if query.cursor else None
    found = await request.app[SERVICES].lookup.search(
        query.search or "", query.owner, query.status, before, query.limit
    )
    part = Part([show_upload(request, detail) for detail in found.uploads], found.rest and Position(*found.rest))
    others = await from_others(request, query, FoundPage)
    page, pages, unreachable = merged(part, others, digest, query.limit)
    is_found = any(item.id == query.search for item in page.items)  # no other upload has this id
    return success(
        FoundPage(
            items=list(page.items),
            examined=found.examined + sum(other.examined for other in pages),
            next_cursor=cursors.encode(page.rest, digest) if page.rest and not is_found else None,
            unreachable_cells=unreachable,
        )
    )


async def timeline(request: web.Request) -> web.StreamResponse:
    detail = await request.app[SERVICES].lookup.detail(upload_id(request))
    return success(timeline_view(detail, show_upload(request, detail)))


async def retry(request: web.Request) -> web.StreamResponse:
    name, stage = upload_id(request), request.match_info["stage"]
    if stage not in list(Stage):
        raise invalid_field("stage", f"Must be one of {', '.join(Stage)}")
    outcome = await request.app[SERVICES].stage_retries.retry(name, Stage(stage))
    return success(StageRetry(id=name, stage=stage, state=str(outcome.state), retried=outcome.retried))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/status",
        overview,
        "Status",
        "Show the state of the cells",
        "Temp volumes with their queue and the last hour, uploads by status, queues of workers, stages, workers that "
        "are alive, and failures by code. Poll it every few seconds, with `history_after`. Its cost does not grow with "
        "the number of uploads. With several cells it is the state of all; `unreachable_cells` names those that have "
        "not responded.",
        responses=(ResponseSpec(200, "The state", Overview),),
        errors=("VALIDATION_FAILED", *REDIS_ERRORS),
        query=OverviewQuery,
        quiet=True,
        access=access.OPERATE,
    ),
    Route(
        "GET",
        "/v1/status/uploads",
        search,
        "Status",
        "Search uploads",
        "Uploads of every owner by id or file name, newest first. A request looks at about 5,000 uploads at most; "
        "`examined` says at how many it has, and `next_cursor` continues with older ones. A whole id is found at once. "
        "With several cells, each looks at so many, and `unreachable_cells` names those that have not responded.",
        responses=(ResponseSpec(200, "What was found", FoundPage),),
        errors=(*LIST_ERRORS, *REDIS_ERRORS),
        query=UploadSearch,
        access=access.OPERATE,
    ),
    Route(
        "GET",
        "/v1/status/uploads/{id}",
        timeline,
        "Status",
        "Show the timeline of an upload",
        "When it waited, received and was processed, and each stage with its attempts, outages, take-overs and errors.",
        responses=(ResponseSpec(200, "The timeline", Timeline),),
        errors=UPLOAD_LOOKUP_ERRORS,
        quiet=True,
        access=access.OPERATE,
    ),
    Route(
        "POST",
        "/v1/status/uploads/{id}/stages/{stage}/retry",
        retry,
        "Status",
        "Retry a stage now",
        "Ends the pause of a stage after a failed attempt, for example when a store works again: its next attempt is "
        "due now. It does not count as a failure. A stage that does not pause is left alone (`retried` is false). An "
        "upload that has ended cannot be retried: what it had on the temp volume and in the store is removed.",
        responses=(ResponseSpec(200, "What was done", StageRetry),),
        errors=(*UPLOAD_LOOKUP_ERRORS, "VALIDATION_FAILED", "UPLOAD_ENDED"),
        new_work=True,
        access=access.OPERATE,
    ),
)
