"""Error replies of Redis: their code, what they mean, and whether Sluice itself caused them.

Guarantee: `error_code` finds the code of an error wherever it was raised. The versions of Redis and redis-py write one
error in many ways:

    OOM command not allowed ...                                                         a command
    Error running script (call to f_SHA): @user_script:1: @user_script: 1: -OOM ...     in a script, Redis 6
    OOM command not allowed ... script: SHA, on @user_script:1.                         in a script, Redis 7
    Command # 1 (SET k v) of pipeline caused error: ('NOREPLICAS Not enough ...',)      in a pipeline of redis-py

redis-py removes the code where it has a class for it, and Redis writes none when a user may not run a command in a
script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from redis import exceptions

PROBLEMS: Final[Mapping[str, str]] = {
    "OOM": "it is out of memory (maxmemory) and accepts no writes",
    "MISCONF": "it cannot write its data to its disk and accepts no writes",
    "READONLY": "it is a read-only replica",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write and accepts no writes",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "LOADING": "it is still loading its data",
    "BUSY": "a script or function has kept it busy for too long",
    "NOAUTH": "it requires a password",
    "WRONGPASS": "it refuses the user or the password",
    "NOPERM": "its user lacks a right that Sluice needs",
    "MAXCLIENTS": "it has reached maxclients and accepts no connections",
    "DENIED": "it is in protected mode and accepts no connections",
    "UNKNOWN": "it does not know a command that Sluice needs",
    "CLUSTERDOWN": "it is a cluster, which Sluice cannot use",
    "MOVED": "it is a cluster, which Sluice cannot use",
    "ASK": "it is a cluster, which Sluice cannot use",
    "CROSSSLOT": "it is a cluster, which Sluice cannot use",
    "TRYAGAIN": "it is a cluster, which Sluice cannot use",
}
"""What the codes mean that an operator can act on. Redis has more codes, and so have proxies in front of it."""

NO_CODE: Final = ""
"""Of an error without a code of its own: `ERR`, and errors of redis-py and of the connection."""

_CODE_OF_CLASS: Final[Mapping[type[Exception], str]] = {
    exceptions.OutOfMemoryError: "OOM",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.NoScriptError: "NOSCRIPT",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ExecAbortError: "EXECABORT",
    exceptions.AuthenticationError: "WRONGPASS",
    exceptions.AuthenticationWrongNumberOfArgsError: "WRONGPASS",  # Redis before version 6 knows no users
}
_CODE_OF_TEXT: Final = (
    ("The user executing the script can't", "NOPERM"),
    ("ACL failure in script", "NOPERM"),
    ("EXEC without MULTI", "NOPERM"),  # redis-py raises this when MULTI itself was refused
    ("Authentication required", "NOAUTH"),
    ("max number of clients reached", "MAXCLIENTS"),
    ("unknown command", "UNKNOWN"),
    ("Unknown Redis command", "UNKNOWN"),
    ("Invalid command passed to redis.acl_check_cmd", "UNKNOWN"),
    ("Script attempted to access keys that", "CROSSSLOT"),
    ("Script attempted to access a non local key", "MOVED"),
    ("Lua script attempted to access a non local key", "MOVED"),
)

_IN_PIPELINE = re.compile(r"""Command # \d+ \(.*\) of pipeline caused error: (?:\(['"])?(.*?)(?:['"],\))?""", re.DOTALL)
_IN_SCRIPT_6 = re.compile(r"Error running script \(call to f_[0-9a-f]+\): @\w+: ?\d+: (.*)", re.DOTALL)
_IN_SCRIPT_7 = re.compile(r"(.*?),? script: [0-9a-f]{40}, on @user_script:\d+\.?", re.DOTALL)
_AT_LINE = re.compile(r"@user_script: ?\d+: ")  # Redis 6, also in what redis.pcall returns
_CODED = re.compile(r"-?([A-Z][A-Z0-9_]{2,})(?: (.*)|)", re.DOTALL)

# A mistake in a script, or arguments that no server would accept: the same call fails on every Redis.
_OUR_MISTAKES = re.compile(
    r"user_script:\d+: "  # raised by Lua itself; errors of commands are not followed by a colon and a space here
    r"|error compiling script"
    r"|wrong number of arg"
    r"|lua redis(\(\)| lib) command arguments"
    r"|syntax error"
    r"|(value|hash value|min or max|min or max .*|increment|timeout|weight value|score|resulting score) is not a"
    r"|invalid expire time"
    r"|increment or decrement would"
    r"|(no such key|index out of range)$",
    re.IGNORECASE,
)
_KILLED = "Script killed by user"


def error_text(error: Exception) -> str:
    """What the server said, without what surrounds it when it comes from a script or a pipeline."""
    text = str(error)
    if found := _IN_PIPELINE.fullmatch(text):
        text = found[1].replace("\\'", "'").replace('\\"', '"')
    if found := _IN_SCRIPT_6.fullmatch(text) or _IN_SCRIPT_7.fullmatch(text):
        text = found[1]
    return _AT_LINE.sub("", text, count=1).removeprefix("-").removeprefix("ERR ")


def error_code(error: Exception) -> str:
    """The code of an error that redis-py raised, such as OOM, or NO_CODE."""
    text = error_text(error)
    for part, code in _CODE_OF_TEXT:
        if text.startswith(part):
            return code
    for kind, code in _CODE_OF_CLASS.items():
        if isinstance(error, kind):
            return code
    found = _CODED.fullmatch(text) if isinstance(error, exceptions.ResponseError) else None
    return found[1] if found and found[1] != "ERR" else NO_CODE


def is_own_mistake(error: exceptions.ResponseError) -> bool:
    """True only if the reply proves that Sluice is wrong, and no other state of the server would change it."""
    code = error_code(error)
    if code != NO_CODE:
        return code == "WRONGTYPE"
    text = error_text(error)
    return _KILLED not in text and _OUR_MISTAKES.match(text) is not None


def explain(error: Exception) -> str:
    """The problem in words, followed by what the server or the driver said."""
    code, text = error_code(error), error_text(error).rstrip(".")
    said = text if code in (NO_CODE, "MAXCLIENTS", "UNKNOWN") or text.startswith(code) else f"{code} {text}"
    if isinstance(error, exceptions.ResponseError) and code == NO_CODE:
        return said
    if code in PROBLEMS:
        return f"{PROBLEMS[code]} ({said.rstrip('. ')})"
    return said if code else f"{type(error).__name__}: {said}".rstrip(": ")
