"""Plans of files that are joined from several: the segments of each, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import RequestError
from pipeline.core.model import NewUpload, Part
from pipeline.core.new_upload_data import from_data, to_data
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, Place
from pipeline.core.transports import Transport
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.unit

RUNS = st.lists(st.builds(SegmentPlan, st.integers(1, 50), st.integers(1, 12)), min_size=1, max_size=6)


@given(RUNS)
def test_every_byte_is_in_the_segment_that_the_plan_names(runs: list[SegmentPlan]) -> None:
    plan = SegmentPlan.joined(runs)
    lengths = [run.length(number) for run in runs for number in range(1, run.count + 1)]
    assert (plan.count, plan.size_bytes) == (len(lengths), sum(lengths))
    offset = 0
    for number, length in enumerate(lengths, 1):
        assert (plan.offset(number), plan.length(number)) == (offset, length)
        assert {plan.number_at(byte) for byte in range(offset, offset + length)} == {number}
        offset += length
    for number in (0, plan.count + 1):
        with pytest.raises(RequestError):
            plan.length(number)


@given(st.integers(1, 50), st.integers(1, 12))
def test_a_plan_of_one_file_is_its_own_run(size_bytes: int, segment_bytes: int) -> None:
    plan = SegmentPlan(size_bytes, segment_bytes)
    joined = SegmentPlan.joined([plan])
    for number in range(1, plan.count + 1):
        assert (joined.offset(number), joined.length(number)) == (plan.offset(number), plan.length(number))
    assert [joined.number_at(byte) for byte in range(size_bytes)] == [
        plan.number_at(byte) for byte in range(size_bytes)
    ]


def test_where_segments_are_stored() -> None:
    plan = SegmentPlan.joined([SegmentPlan(25, 10), SegmentPlan(7, 10), SegmentPlan(11, 10)])
    target = ObjectTarget("f", "k", "", plan, parts=("a", "b", "c"))
    assert target.places == [Place("a", 1), Place("a", 2), Place("a", 3), Place("b", 1), Place("c", 1), Place("c", 2)]
    assert (target.is_plain, target.prefixes) == (False, ("f", "a", "b", "c"))
    one = SegmentPlan(7, 10)
    assert ObjectTarget("f", "k", "", one).is_plain
    assert not ObjectTarget("f", "k", "", one, partial=True).is_plain
    assert not ObjectTarget("f", "k", "", SegmentPlan.joined([one]), parts=("a",)).is_plain


def test_the_journal_keeps_what_a_final_upload_consists_of() -> None:
    parts = (Part("a", 25, 10), Part("b", 7, 10))
    new = new_upload(size_bytes=32, transport=Transport.FINAL, parts=parts, concat="final;/files/a /files/b")
    assert from_data(to_data(new)) == new
    assert new.plan.count == 4
    ordinary: NewUpload = new_upload()
    assert not {"parts", "concat"} & set(to_data(ordinary))
