"""PostgreSQL's names of SQLSTATEs, as its documentation has them (appendix A, "PostgreSQL Error Codes").

asyncpg's class names contain most of them. A test compares all of them with a real server.
"""

from __future__ import annotations

import re

import asyncpg

_OTHERWISE_NAMED = {
    "08000": "connection_exception",
    "08001": "sqlclient_unable_to_establish_sqlconnection",
    "08004": "sqlserver_rejected_establishment_of_sqlconnection",
    "09000": "triggered_action_exception",
    "0F000": "locator_exception",
    "0Z000": "diagnostics_exception",
    "22000": "data_exception",
    "22011": "substring_error",
    "22024": "unterminated_c_string",
    "22027": "trim_error",
    "2202E": "array_subscript_error",
    "22037": "non_unique_keys_in_a_json_object",
    "22P01": "floating_point_exception",
    "2F000": "sql_routine_exception",
    "38000": "external_routine_exception",
    "38002": "modifying_sql_data_not_permitted",
    "38003": "prohibited_sql_statement_attempted",
    "38004": "reading_sql_data_not_permitted",
    "39000": "external_routine_invocation_exception",
    "39004": "null_value_not_allowed",
    "3B000": "savepoint_exception",
    "40001": "serialization_failure",
    "42000": "syntax_error_or_access_rule_violation",
    "42601": "syntax_error",
    "42803": "grouping_error",
    "42P20": "windowing_error",
    "58000": "system_error",
    "58030": "io_error",
    "F0000": "config_file_error",
    "HV000": "fdw_error",
    "HV010": "fdw_function_sequence_error",
    "P0000": "plpgsql_error",
    "P0001": "raise_exception",
    "P0004": "assert_failure",
    "XX000": "internal_error",
}
_ACRONYMS = {"SQL": "Sql", "FDW": "Fdw"}


def condition(error: asyncpg.PostgresError) -> str:
    """The name of the error's SQLSTATE; empty if asyncpg does not know the SQLSTATE."""
    if isinstance(error, asyncpg.UnknownPostgresError):
        return ""
    words = type(error).__name__.removeprefix("Postgres").removesuffix("Error")
    for acronym, word in _ACRONYMS.items():
        words = words.replace(acronym, word)
    return _OTHERWISE_NAMED.get(error.sqlstate or "", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower())
