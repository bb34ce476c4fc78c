"""Lists and overviews of several cells: nothing is left out and nothing comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from gateway.api.overviews import merged_overviews
from gateway.api.spanning import Part, merged, merged_parts, position
from gateway.api.views import instant
from gateway.http import cursors
from gateway.http.cursors import Position
from pipeline.uploads.other_cells import FromCells
from schemas import examples, overview_examples
from schemas.cells import CellFilter
from schemas.overview import FailureOverview, FoundPage, Overview, StatusOverview
from schemas.uploads import UploadPage, UploadView

pytestmark = pytest.mark.unit

_UPLOAD = UploadView.model_validate(examples.UPLOAD)
_OVERVIEW = Overview.model_validate(overview_examples.OVERVIEW)
_DIGEST = cursors.query_digest(CellFilter())


def _item(moment: int, name: str) -> UploadView:
    return _UPLOAD.model_copy(update={"id": name, "created_at": instant(moment)})


def _newest(cell: list[UploadView], before: Position | None) -> list[UploadView]:
    found = [item for item in cell if before is None or position(item).pair < before.pair]
    return sorted(found, key=lambda item: position(item).pair, reverse=True)


def _page(cell: list[UploadView], before: Position | None, limit: int) -> Part:
    """As the gateway of a cell lists."""
    found = _newest(cell, before)
    return Part(found[:limit], position(found[limit - 1]) if len(found) > limit else None)


def _search(cell: list[UploadView], before: Position | None, limit: int, examined: int) -> Part:
    """As the gateway of a cell searches ids that end in 0: it looks at so many, and may find none of them."""
    found = _newest(cell, before)
    looked = found[:examined]
    matches = [item for item in looked if item.id.endswith("0")]
    if len(matches) > limit:
        return Part(matches[:limit], position(matches[limit - 1]))
    return Part(matches, position(looked[-1]) if len(found) > examined else None)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("examined", [None, 3])
def test_pages_are_the_whole_list_in_order(seed: int, examined: int | None) -> None:
    random = Random(seed)
    names = (f"{random.randrange(10**6):06d}-{number}" for number in range(60))
    cells: list[list[UploadView]] = [[] for _ in range(random.randint(1, 4))]
    for name in names:
        random.choice(cells).append(_item(random.randrange(30), name))  # many at the same time
    wanted = _newest([item for cell in cells for item in cell], None)
    if examined is not None:
        wanted = [item for item in wanted if item.id.endswith("0")]
    seen: list[UploadView] = []
    before: Position | None = None
    while True:
        limit = random.randint(1, 7)
        parts = [
            _page(cell, before, limit) if examined is None else _search(cell, before, limit, examined) for cell in cells
        ]
        page = merged_parts(parts, limit)
        assert len(page.items) <= limit
        seen += page.items
        if page.rest is None:
            break
        assert before is None or page.rest.pair < before.pair, "the list goes on"
        before = page.rest
    assert [item.id for item in seen] == [item.id for item in wanted]


def test_a_cursor_of_another_list_counts_as_no_response() -> None:
    own = Part([_item(5, "own")], None)
    wrong = cursors.encode(Position(1, "x"), "another")
    right = cursors.encode(Position(2, "b"), _DIGEST)
    pages = {
        1: UploadPage(items=[_item(9, "a")], next_cursor=wrong),
        2: UploadPage(items=[_item(4, "c"), _item(2, "b")], next_cursor=right),
    }
    page, used, unreachable = merged(own, FromCells(pages, [3]), _DIGEST, 10)
    assert [item.id for item in page.items] == ["own", "c", "b"]
    assert page.rest == Position(2, "b")
    assert used == [pages[2]]
    assert unreachable == [1, 3]


def test_a_search_adds_what_was_examined_only_where_it_was_used() -> None:
    found = FoundPage(items=[], examined=7, next_cursor=None)
    _, used, unreachable = merged(Part([], None), FromCells({4: found}, []), _DIGEST, 10)
    assert sum(page.examined for page in used) == 7
    assert unreachable == []


def test_the_digest_of_a_list_does_not_depend_on_the_cell() -> None:
    assert cursors.query_digest(CellFilter(cell=3)) == _DIGEST


def test_an_overview_names_the_cell_of_each_part_and_adds_counts() -> None:
    later = _OVERVIEW.at + timedelta(seconds=1)
    failures = _OVERVIEW.failures.model_copy(
        update={
            "complete": False,
            "codes": [FailureOverview(code="UPLOAD_EXPIRED", count=5, latest_at=later, latest_id="new")],
        }
    )
    old = datetime(2020, 1, 1, tzinfo=UTC)
    statuses = [StatusOverview(status="waiting", count=4, oldest_since=old)]
    second = _OVERVIEW.model_copy(update={"at": later, "failures": failures, "statuses": statuses})
    shown = merged_overviews(7, {7: _OVERVIEW, 3: second}, [9])
    assert [volume.cell for volume in shown.volumes] == [3, 7]
    assert {queue.cell for queue in shown.queues} == {3, 7}
    assert {worker.cell for worker in shown.workers} == {3, 7}
    assert shown.at == _OVERVIEW.at
    assert shown.unreachable_cells == [9]
    counts = {item.status: item for item in shown.statuses}
    assert counts["waiting"].count == 5
    assert counts["waiting"].oldest_since == old
    assert counts["ready"].count == 1836
    first = shown.failures.codes[0]
    assert (first.code, first.count, first.latest_id) == ("UPLOAD_EXPIRED", 6, "new")
    assert shown.failures.examined == 8
    assert not shown.failures.complete
    stages = {stage.stage: stage for stage in shown.stages}
    assert stages["transfer"].done == 2 * 1841
    assert stages["transfer"].done_per_minute == pytest.approx(12.4)
    assert stages["transfer"].wait_seconds == pytest.approx(0.042)
    assert stages["assemble"].wait_seconds is None


def test_one_cell_keeps_its_overview_and_gets_its_number() -> None:
    shown = merged_overviews(5, {5: _OVERVIEW}, [])
    assert {volume.cell for volume in shown.volumes} == {5}
    numbered = {"volumes", "queues", "workers"}
    assert shown.model_dump(exclude=numbered) == _OVERVIEW.model_dump(exclude=numbered)


def test_the_mean_wait_is_weighted_with_the_rate_of_each_cell() -> None:
    def cell(rate: float, wait: float | None) -> Overview:
        stage = _OVERVIEW.stages[0].model_copy(update={"done_per_minute": rate, "wait_seconds": wait})
        return _OVERVIEW.model_copy(update={"stages": [stage]})

    shown = merged_overviews(0, {0: cell(30.0, 1.0), 1: cell(10.0, 5.0), 2: cell(0.0, None)}, [])
    assert shown.stages[0].wait_seconds == pytest.approx(2.0)
    idle = merged_overviews(0, {0: cell(0.0, 3.0), 1: cell(0.0, 4.0)}, [])
    assert idle.stages[0].wait_seconds == 4.0
