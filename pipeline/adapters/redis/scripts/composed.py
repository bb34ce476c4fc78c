"""The text of a script: its own file, and of the shared files only what it uses.

Guarantee: a script contains every function and constant that it uses, before its use, and none that it does not: what
Redis makes of them at each call costs as much as the commands. The core's tables are made when they are asked for. What
a script changes in records is written when it returns.

A shared file is a sequence of parts that begin at the left margin: definitions (`local function`, `local NAME =`) and
statements. A definition belongs to a script if its name occurs in what the script contains already. Statements always
do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pipeline.core.lifecycle import ENDED, Event, moves
from pipeline.core.transports import transports_table

READS = frozenset(
    {
        *("EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "SCARD", "SISMEMBER", "SMEMBERS"),
        *("TIME", "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZRANK", "ZREVRANGEBYSCORE", "ZSCORE"),
    }
)
"""Commands that change nothing and signal nothing."""

# Files whose definitions every script may use.
_COMMON = ("basics", "record", "hashes", "lib", "release", "owners", "lifecycle")
_QUEUE = ("queue",)
_VOLUME = (*_QUEUE, "volume")
# Further files, by script.
_MORE: Mapping[str, tuple[str, ...]] = {
    "append_length": _VOLUME,
    "upload_create": ("joining",),
    "upload_rebuild": ("joining",),
    "upload_snapshots": _QUEUE,
    "volume_adopt": (*_VOLUME, "admission", "volume_upgrade"),
    "volume_back": (*_VOLUME, "room"),
    "volume_confirm": (*_VOLUME, "admission"),
    "volume_drain": _VOLUME,
    "volume_follow": _VOLUME,
    "volume_give": (*_VOLUME, "room"),
    "volume_given": _VOLUME,
    "volume_open": _VOLUME,
    "volume_overdue": _VOLUME,
    "volume_postpone": (*_VOLUME, "volume_upgrade"),
    "volume_queue": _QUEUE,
    "volume_release": (*_VOLUME, "volume_upgrade"),
    "volume_renew": (*_VOLUME, "admission"),
    "volume_request": (*_VOLUME, "admission", "volume_upgrade"),
    "volume_run": (*_VOLUME, "admission", "volume_upgrade"),
    "volume_standing": _VOLUME,
    "volume_take": (*_VOLUME, "room"),
    "volume_taken": _VOLUME,
}
# What writes the changes that a script has collected, by the names of these.
_FLUSHES: Mapping[str, frozenset[str]] = {
    "flush_volume": frozenset({"owners_known"}),
    "flush_hashes": frozenset({"dirty"}),
    "flush": frozenset({"changes", "signals"}),
}
_DEFINED = re.compile(r"local (?:function )?([A-Za-z_]\w*(?:, [A-Za-z_]\w*)*)")
_USED = re.compile(r"(?<![.:\w'])[A-Za-z_]\w*")
_COMMENT = re.compile(r"(?:^|(?<=\s))--.*$", re.MULTILINE)
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_COMMAND = re.compile(r"\b(?:redis\.p?call|try)\('([A-Z]+)'")
_PROOF = re.compile(r"\s+(?:may|try|try_and_undo)\('([A-Z]+)'")


@dataclass(frozen=True, slots=True)
class _Part:
    """`names`: what it defines; none: it is a statement. `uses`: the names that occur in it."""

    text: str
    names: frozenset[str]
    uses: frozenset[str]


def source(name: str, transports: Mapping[str, object] | None = None) -> str:
    """The text of script `name`, as Redis runs it. `transports`: the table of transports of another release."""
    files = [
        _own_tables() if transports is None else _tables(transports),
        *map(_read, (*_COMMON, *_MORE.get(name, ()))),
    ]
    shared = [part for file in files for part in _parts(file)]
    own = _without_comments(_read(name))
    needed = _needed([*shared, _part(own, is_whole=True)])
    flushes = [flush for flush, collected in _FLUSHES.items() if any(part.names & collected for part in needed)]
    if flushes:
        needed = _needed([*shared, _part(_flushing(own, flushes), is_whole=True)])
    text = "".join(part.text for part in needed)
    return _rights(set(_COMMAND.findall(text))) + text


def _flushing(text: str, flushes: Sequence[str]) -> str:
    """A script that writes what it has collected when it returns."""
    calls = "".join(f"{flush}()\n" for flush in flushes)
    return f"local function script()\n{text}end\nlocal reply = script()\n{calls}return reply\n"


def _needed(parts: Sequence[_Part]) -> list[_Part]:
    """Statements, and definitions that something after them needs, in order."""
    used: set[str] = set()
    needed: list[_Part] = []
    for part in reversed(parts):
        if not part.names or part.names & used:
            used |= part.uses
            needed.append(part)
    return needed[::-1]


@cache
def _read(name: str) -> str:
    return (resources.files(__package__) / f"{name}.lua").read_text("utf-8")


def _without_comments(text: str) -> str:
    return "".join(f"{line}\n" for line in _COMMENT.sub("", text).splitlines() if line.strip())


@cache
def _parts(text: str) -> tuple[_Part, ...]:
    lines = _without_comments(text).splitlines()
    begins = [index for index, line in enumerate(lines) if line[0].isalpha() and not line.startswith(("end", "else"))]
    ends = [*begins[1:], len(lines)]
    return tuple(_part("\n".join(lines[begin:end]) + "\n") for begin, end in zip(begins, ends, strict=True))


def _part(text: str, *, is_whole: bool = False) -> _Part:
    defined = None if is_whole else _DEFINED.match(text)
    names = frozenset(defined[1].split(", ")) if defined else frozenset[str]()
    return _Part(text, names, frozenset(_USED.findall(_STRING.sub("''", text))))


def _rights(commands: set[str]) -> str:
    """What proves, before anything is written, that the user may run these commands. Nothing where none of them
    writes: then an error leaves nothing behind."""
    if commands <= READS:
        return ""
    proven = commands | {"HSET"}  # on Redis 6 it also shows whether memory is exhausted
    if commands & {"HSETNX", "SADD"}:
        proven |= {"DEL"}  # undoes what proves them on Redis 6
    lines = _without_comments(_read("rights")).splitlines()
    kept = [line for line in lines if not (found := _PROOF.match(line)) or found[1] in proven]
    return "\n".join(kept) + "\n"


@cache
def _own_tables() -> str:
    return _tables(transports_table())


def _tables(transports: Mapping[str, object]) -> str:
    """The tables of the core as Lua source. A row is made when it is first asked for: making all of them takes longer
    than most scripts."""
    return "\n".join(
        [
            "local function lazily(makers)",
            "  return setmetatable({}, {__index = function(rows, name)",
            "    local make = makers[name]",
            "    local row = make and make()",
            "    rows[name] = row",
            "    return row",
            "  end})",
            "end",
            _lazy("MOVES", {event: moves(event) for event in Event}),
            _lazy("TRANSPORTS", transports),
            f"local ENDED = {_literal(dict.fromkeys(sorted(ENDED), True))}",
            "",
        ]
    )


def _lazy(name: str, rows: Mapping[str, object]) -> str:
    makers = "\n".join(f"  [{_literal(key)}] = function() return {_literal(row)} end," for key, row in rows.items())
    return f"local {name} = lazily({{\n{makers}\n}})"


def _literal(value: object) -> str:
    """A value of the core's tables as a Lua literal: decoding it from JSON would take three times as long."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"[{_literal(key)}]={_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "{" + ",".join(map(_literal, value)) + "}"
    return json.dumps(value)  # names and booleans, which Lua writes in the same way
