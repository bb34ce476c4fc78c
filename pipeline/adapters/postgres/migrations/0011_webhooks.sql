-- Webhooks, the events that they are notified of, and a delivery for each pair of both.
--
-- An event is recorded in the transaction of the fact, or, where Redis holds the fact, copied from Redis. `released_at`: when it
-- was given to the webhooks, which happens after the earlier events of its upload have been copied from the Redis of `volume`.
-- Deliveries of one upload to one webhook are made in the order of their ids.
CREATE TABLE webhooks (
    id               uuid PRIMARY KEY,
    owner            text,
    url              text NOT NULL,
    events           text[] NOT NULL,
    note             text NOT NULL,
    secret           text NOT NULL,
    previous_secret  text,
    previous_until   timestamptz,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_at        timestamptz,
    pause_reason     text,
    failures         integer NOT NULL DEFAULT 0,
    failing_since    timestamptz,
    retry_at         timestamptz,
    last_error       text,
    last_success_at  timestamptz
);

CREATE INDEX webhooks_of_owner ON webhooks (owner, created_at, id);

CREATE TABLE webhook_events (
    id           text PRIMARY KEY,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    type         text NOT NULL,
    owner        text NOT NULL,
    upload_id    uuid NOT NULL,
    volume       text,
    body         text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at  timestamptz
);

CREATE INDEX webhook_events_held ON webhook_events (seq) WHERE released_at IS NULL;
CREATE INDEX webhook_events_recorded ON webhook_events (recorded_at);

CREATE TABLE webhook_deliveries (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id   uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id     text NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
    upload_id    uuid NOT NULL,
    state        text NOT NULL DEFAULT 'pending',
    attempts     integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz,
    last_status  integer,
    last_error   text
);

CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_id, webhook_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook_id, upload_id, id) WHERE state = 'pending';
