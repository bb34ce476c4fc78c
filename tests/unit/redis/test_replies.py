"""Error replies as Redis 6.2 and 7.0 and redis-py write them."""

from __future__ import annotations

import pytest
from redis import exceptions

from deploy.cli.doctor.redis_advice import ADVICE
from pipeline.adapters.redis.replies import NO_CODE, PROBLEMS, error_code, error_text, explain, is_own_mistake

pytestmark = pytest.mark.unit

_SHA = "62e6aac9c7520a78c28f012748b42ed670fff5d3"


def in_redis_6(text: str) -> str:
    """An error that a command raised in a script."""
    return f"Error running script (call to f_{_SHA}): @user_script:1: {text}"


def in_redis_7(text: str) -> str:
    return f"{text} script: {_SHA}, on @user_script:1."


def in_pipeline(text: str) -> str:
    return f"Command # 1 (SET k v) of pipeline caused error: {(text,)}"


_RESPONSES = (
    ("OOM", "OOM command not allowed when used memory > 'maxmemory'."),
    ("READONLY", "READONLY You can't write against a read only replica."),
    ("MISCONF", "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."),
    ("MISCONF", "MISCONF Errors writing to the AOF file: No space left on device"),
    ("NOREPLICAS", "NOREPLICAS Not enough good replicas to write."),
    ("MASTERDOWN", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    ("BUSY", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    ("LOADING", "LOADING Redis is loading the dataset in memory"),
    ("NOAUTH", "NOAUTH Authentication required."),
    ("NOPERM", "NOPERM this user has no permissions to run the 'set' command"),
    ("NOPERM", "The user executing the script can't run this command or subcommand"),
    (
        "NOPERM",
        "The user executing the script can't access at least one of the keys mentioned in the command arguments",
    ),
    ("NOPERM", "The user executing the script can't publish to the channel mentioned in the command"),
    ("NOPERM", "ACL failure in script: User sluice has no permissions to run the 'xadd' command"),
    ("UNKNOWN", "ERR unknown command 'XADD', with args beginning with: 'k' '*'"),
    ("UNKNOWN", "ERR unknown command `XADD`, with args beginning with: "),
    ("UNKNOWN", "Unknown Redis command called from script"),
    ("UNKNOWN", "Unknown Redis command called from Lua script"),
    ("UNKNOWN", "ERR Invalid command passed to redis.acl_check_cmd()"),
    ("MAXCLIENTS", "ERR max number of clients reached"),
    ("DENIED", "DENIED Redis is running in protected mode because protected mode is enabled."),
    ("CLUSTERDOWN", "CLUSTERDOWN The cluster is down"),
    ("MOVED", "MOVED 3999 127.0.0.1:6381"),
    ("ASK", "ASK 3999 127.0.0.1:6381"),
    ("TRYAGAIN", "TRYAGAIN Multiple keys request during rehashing of slot"),
    ("CROSSSLOT", "CROSSSLOT Keys in request don't hash to the same slot"),
    ("CROSSSLOT", "ERR Script attempted to access keys that do not hash to the same slot"),
    ("MOVED", "ERR Script attempted to access a non local key in a cluster node"),
    ("EXECABORT", "EXECABORT Transaction discarded because of previous errors."),
    ("UNKILLABLE", "UNKILLABLE Sorry the script already executed write commands against the dataset."),
    ("NOTBUSY", "NOTBUSY No scripts in execution right now."),
    ("NOSCRIPT", "NOSCRIPT No matching script. Please use EVAL."),
    ("INPROG", "INPROG Failover already in progress."),
    ("IOERR", "IOERR error or timeout reading to target instance"),
    ("NOQUORUM", "NOQUORUM something that a later version may say"),
    (NO_CODE, "ERR DB index is out of range"),
    (NO_CODE, "ERR Protocol error: invalid bulk length"),
    (NO_CODE, "ERR Script killed by user with SCRIPT KILL..."),
    (NO_CODE, "ERR upstream connection error"),
    (NO_CODE, "no upstream host"),
    (NO_CODE, "ERR not enough memory"),
    (NO_CODE, "ERR This Redis command is not allowed from script"),
)
_MISTAKES = (
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR wrong number of arguments for 'get' command",
    "ERR Wrong number of args calling Redis command from script",
    "ERR Wrong number of args calling Redis command From Lua script",
    "ERR Lua redis() command arguments must be strings or integers",
    "ERR Lua redis lib command arguments must be strings or integers",
    "ERR syntax error",
    "ERR value is not an integer or out of range",
    "ERR value is not a valid float",
    "ERR hash value is not an integer",
    "ERR min or max is not a float",
    "ERR increment or decrement would overflow",
    "ERR invalid expire time in 'psetex' command",
    "ERR Error compiling script (new function): user_script:2: unexpected symbol near 'end'",
    "user_script:1: upload x has a transport that this release does not know",
    "ERR user_script:1: Script attempted to access nonexistent global variable 'nothing'",
    "user_script:15: attempt to index a nil value",
)


def parsed(reply: str) -> Exception:
    """The exception that redis-py makes of a reply."""
    error = exceptions.ResponseError(reply.removeprefix("ERR "))
    code, _, text = reply.partition(" ")
    kinds: dict[str, type[Exception]] = {
        "OOM": exceptions.OutOfMemoryError,
        "READONLY": exceptions.ReadOnlyError,
        "LOADING": exceptions.BusyLoadingError,
        "NOPERM": exceptions.NoPermissionError,
        "NOAUTH": exceptions.AuthenticationError,
        "WRONGPASS": exceptions.AuthenticationError,
        "EXECABORT": exceptions.ExecAbortError,
        "NOSCRIPT": exceptions.NoScriptError,
    }
    return kinds[code](text) if code in kinds else error


@pytest.mark.parametrize(("code", "reply"), _RESPONSES)
@pytest.mark.parametrize("version", [6, 7])
def test_a_reply_has_the_same_code_wherever_it_was_raised(code: str, reply: str, version: int) -> None:
    command = parsed(reply)
    # Redis 6 writes what the server itself raises with a minus sign, and without ERR.
    script = parsed(in_redis_7(reply)) if version == 7 else parsed(in_redis_6(f"@user_script: 1: -{reply}"))
    returned = exceptions.ResponseError(f"@user_script: 1: -{reply}")
    annotated = [type(error)(in_pipeline(str(error))) for error in (command, script)]
    for error in (command, script, returned, *annotated):
        assert error_code(error) == code, error
        assert not (isinstance(error, exceptions.ResponseError) and is_own_mistake(error)), error
        text = reply.removeprefix("ERR ")
        assert error_text(error) in (text, text.partition(" ")[2]), error
        said = explain(error)
        assert error_text(error).rstrip(". ") in said
        assert PROBLEMS.get(code, "") in said
        assert "user_script" not in said
        assert "pipeline" not in said


@pytest.mark.parametrize("reply", _MISTAKES)
def test_a_mistake_of_ours_is_recognised(reply: str) -> None:
    for text in (
        reply,
        in_redis_7(reply),
        in_redis_6(reply),
        in_redis_6("@user_script: 1: " + reply.removeprefix("ERR ")),
        in_pipeline(reply.removeprefix("ERR ")),
    ):
        error = exceptions.ResponseError(text.removeprefix("ERR "))
        assert is_own_mistake(error), text


def test_the_strict_mode_of_redis_6_raises_from_its_own_line() -> None:
    text = f"Error running script (call to f_{_SHA}): @enable_strict_lua:15: user_script:1: Script attempted to access"
    assert is_own_mistake(exceptions.ResponseError(text))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.AuthenticationError("invalid username-password pair or user is disabled."), "WRONGPASS"),
        (exceptions.AuthenticationError("Authentication required."), "NOAUTH"),
        (exceptions.AuthenticationError("AUTH <password> called without any password configured"), "WRONGPASS"),
        (exceptions.AuthenticationWrongNumberOfArgsError("wrong number of arguments for 'auth' command"), "WRONGPASS"),
        (exceptions.ConnectionError("max number of clients reached"), "MAXCLIENTS"),
        (exceptions.ConnectionError("Connection reset by peer"), NO_CODE),
        (exceptions.InvalidResponse("Protocol Error: b'x'"), NO_CODE),
        (exceptions.TimeoutError("Timeout reading from socket"), NO_CODE),
        (ConnectionRefusedError(111, "refused"), NO_CODE),
        (TimeoutError(), NO_CODE),
    ],
)
def test_errors_of_the_driver_and_the_connection(error: Exception, code: str) -> None:
    assert error_code(error) == code
    assert not (isinstance(error, exceptions.ResponseError) and is_own_mistake(error))
    assert explain(error)


def test_every_problem_has_advice() -> None:
    assert ADVICE.keys() == PROBLEMS.keys()
