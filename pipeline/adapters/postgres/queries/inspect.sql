-- What limits this user on this database. CONNECTION LIMIT does not hold for a superuser, and is then -1. A user without
-- privileges sees of other users' sessions only whose they are and in which database.
SELECT pg_is_in_recovery() AS standby,
       pg_backend_pid() AS backend_pid,
       current_database() AS database,
       current_user::text AS role,
       current_setting('server_encoding') AS encoding,
       current_setting('max_connections')::integer AS most_connections,
       (SELECT count(*)::integer FROM pg_stat_activity WHERE usename IS NOT NULL) AS connections,
       (SELECT count(*)::integer FROM pg_stat_activity WHERE usename = current_user) AS role_connections,
       (SELECT count(*)::integer FROM pg_stat_activity WHERE datname = current_database()) AS database_connections,
       CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END AS role_limit,
       CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END AS database_limit,
       (SELECT json_object_agg(name, reset_val) FROM pg_settings
        WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout',
                       'default_transaction_read_only'))::text AS settings,
       (SELECT coalesce(json_agg(json_build_array(item, setrole <> 0)), '[]') FROM pg_db_role_setting, unnest(setconfig) item
        WHERE setdatabase IN (0, d.oid) AND setrole IN (0, r.oid))::text AS overrides
FROM pg_roles r, pg_database d
WHERE r.rolname = current_user AND d.datname = current_database()
