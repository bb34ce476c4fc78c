-- API keys. `digest` is the SHA-256 of the secret; the secret itself is shown once and not kept. A revoked key stays, so
-- that gateways learn of it by `changed_at`.
CREATE TABLE api_keys (
    key_id      text PRIMARY KEY,
    owner       text NOT NULL,
    scopes      text[] NOT NULL,
    note        text NOT NULL,
    digest      bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz,
    revoked_at  timestamptz
);

CREATE INDEX api_keys_changed ON api_keys (changed_at);
CREATE INDEX api_keys_of_owner ON api_keys (owner, created_at);
