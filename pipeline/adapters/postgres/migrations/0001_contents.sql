-- Contents: one row per upload that became `ready`. The id is the upload's id, so persisting twice writes one row.
CREATE TABLE contents (
    id                uuid PRIMARY KEY,
    filename          text NOT NULL,
    content_type      text NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind              text NOT NULL CHECK (kind IN ('video', 'image', 'audio')),
    size_bytes        bigint NOT NULL CHECK (size_bytes >= 0),
    duration_seconds  double precision,
    width             integer,
    height            integer,
    store             text NOT NULL,
    container         text NOT NULL,
    object_key        text NOT NULL,
    etag              text NOT NULL,
    thumbnail         jsonb,
    media             jsonb NOT NULL,
    metadata          jsonb NOT NULL,
    UNIQUE (store, container, object_key)
);

CREATE INDEX contents_newest ON contents (created_at DESC, id DESC);
CREATE INDEX contents_newest_of_kind ON contents (kind, created_at DESC, id DESC);

-- The segments of the object's manifest. A plain object has one row.
CREATE TABLE content_segments (
    content_id  uuid NOT NULL REFERENCES contents ON DELETE CASCADE,
    number      integer NOT NULL CHECK (number >= 1),
    size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
    etag        text NOT NULL,
    PRIMARY KEY (content_id, number)
);
