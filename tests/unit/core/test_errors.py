"""The error catalogue and the code agree: every code raised is in it and vice versa, and no fact is missing."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core import errors
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.errors import TEMPORARY_REDIRECT, OtherCell, SegmentCorrupt, SluiceError, StoreUnavailable

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).parents[3]
PACKAGES = ("pipeline", "gateway", "workers")
CODE = re.compile("[A-Z]+(_[A-Z]+)+")
TREE = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SluiceError)}
# The constructors of these name the code.
NAMED = {"StoreUnavailable": "STORE_UNAVAILABLE", "SegmentCorrupt": "SEGMENT_CORRUPT"}


@dataclass(frozen=True)
class Raised:
    """One place where an error is created. `facts` is None where they are passed on as **detail."""

    where: str
    code: str
    facts: frozenset[str] | None


def constants(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def made_in(path: Path) -> Iterator[Raised]:
    """Every error created in a file, including those whose code is chosen before (`code = A if ... else B`)."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "code" for one in node.targets):
            for code in filter(
                CODE.fullmatch, constants(node.value)
            ):  # variables of this name also hold a server's own codes
                yield Raised(f"{path.name}:{node.lineno}", code, None)
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name not in TREE:
            continue
        given = {keyword.arg for keyword in node.keywords}
        facts = None if None in given else frozenset(word for word in given if word)
        if name == "SegmentCorrupt":
            facts = frozenset({"number"})
        codes = list(constants(node.args[0])) if node.args and name != "SegmentCorrupt" else [NAMED.get(name, "")]
        for code in codes:
            if code:
                yield Raised(f"{path.name}:{node.lineno}", code, facts)


FILES = sorted(
    path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py") if path != Path(errors.__file__)
)
RAISED = [raised for path in FILES for raised in made_in(path)]


def fields_of(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


def test_the_source_was_read() -> None:
    assert len(RAISED) > 40


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    assert [f"{raised.where}: {raised.code}" for raised in RAISED if raised.code not in CATALOGUE] == []


def test_every_code_of_the_catalogue_is_raised() -> None:
    assert set(CATALOGUE) - {raised.code for raised in RAISED} == set()


def test_every_error_has_the_facts_of_its_message() -> None:
    lacking = [
        f"{raised.where}: {raised.code} lacks {missing}"
        for raised in RAISED
        if raised.facts is not None and (missing := fields_of(CATALOGUE[raised.code].message) - raised.facts)
    ]
    assert lacking == []


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_row_is_well_formed(code: str) -> None:
    spec = CATALOGUE[code]
    assert code == code.upper()
    assert 400 <= spec.http_status < 600 or spec.http_status == TEMPORARY_REDIRECT
    facts = {name: f"<{name}>" for name in fields_of(spec.message)}
    error = SluiceError(code, **facts)
    assert all(value in error.message for value in facts.values())
    assert error.message[0].isupper() or error.message.startswith(("{", "<"))
    assert error.message.endswith(".")
    assert (error.http_status, error.retryable, error.detail) == (spec.http_status, spec.retryable, facts)


def test_a_missing_fact_does_not_hide_the_error() -> None:
    assert SluiceError("UPLOAD_NOT_FOUND").message == "There is no upload {upload_id}."
    with pytest.raises(KeyError):
        SluiceError("NO_SUCH_CODE")


@pytest.mark.parametrize("name", TREE)
def test_every_error_survives_a_pickle(name: str) -> None:
    kind = TREE[name]
    made: SluiceError
    if kind is SegmentCorrupt:
        made = SegmentCorrupt(7)
    elif kind is StoreUnavailable:
        made = StoreUnavailable(reason="slow down", retry_after_seconds=42.5)
    elif kind is OtherCell:
        made = OtherCell("UPLOAD_NOT_FOUND", location="https://upload.example/v1/uploads/u", upload_id="u")
    else:
        made = kind("UPLOAD_NOT_FOUND", upload_id="u")
    for twin in (pickle.loads(pickle.dumps(made)), copy.copy(made)):  # noqa: S301 -- pickled here
        assert type(twin) is kind
        assert (twin.code, twin.detail, str(twin)) == (made.code, made.detail, str(made))
        assert vars(twin) == vars(made)


def test_the_docstring_shows_the_whole_tree() -> None:
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in TREE)
