-- Replays: a stage that is run again for the contents that match a filter, in the order of their creation.
--
-- The cursor is the last content that was given to a runner. `next_at`: when the next one may be given, so that `rate` (contents per
-- second) holds for all runners together.
CREATE TABLE replays (
    id           uuid PRIMARY KEY,
    stage        text NOT NULL,
    filters      jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'running',
    matching     bigint NOT NULL,
    rate         double precision CHECK (rate > 0),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    progress_at  timestamptz,
    finished_at  timestamptz,
    cursor_at    timestamptz,
    cursor_id    uuid,
    changed      bigint NOT NULL DEFAULT 0,
    unchanged    bigint NOT NULL DEFAULT 0,
    skipped      bigint NOT NULL DEFAULT 0,
    failed       bigint NOT NULL DEFAULT 0
);

CREATE INDEX replays_newest ON replays (created_at, id);

-- The contents that runners have now, and those that failed (`code`). `runs` is a fencing token, `due_at` the end of the runner's
-- lease. `outcome`: the row of the content is written, and objects in `keys` may have to be removed. `keys`: thumbnails in `store`
-- that the content had or may get; all but the one that its row names are to be removed.
CREATE TABLE replay_contents (
    replay_id   uuid NOT NULL REFERENCES replays ON DELETE CASCADE,
    content_id  uuid NOT NULL,
    runs        integer NOT NULL DEFAULT 1,
    due_at      timestamptz NOT NULL,
    outcome     text,
    store       text NOT NULL DEFAULT '',
    keys        text[] NOT NULL DEFAULT '{}',
    code        text,
    reason      text,
    PRIMARY KEY (replay_id, content_id)
);

CREATE INDEX replay_contents_due ON replay_contents (replay_id, due_at) WHERE code IS NULL;
