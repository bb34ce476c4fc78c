-- Pending deletions: contents whose row is deleted but whose objects may still be in a store or a cache. The statement
-- that deletes the content's row inserts the row here, so none is lost in between. `due_at` is also the lease of the
-- process that is removing the objects. A finished row is kept for a while, so that a late `persist` does not recreate
-- the content.
CREATE TABLE leftovers (
    content_id     uuid PRIMARY KEY,
    store          text NOT NULL,
    container      text NOT NULL,
    object_key     text NOT NULL,
    content_type   text NOT NULL,
    size_bytes     bigint NOT NULL,
    segment_count  integer NOT NULL,
    thumbnail      jsonb,
    deleted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at         timestamptz NOT NULL,
    attempts       integer NOT NULL DEFAULT 0,
    last_code      text,
    last_error     text,
    done_at        timestamptz
);

CREATE INDEX leftovers_due ON leftovers (due_at) WHERE done_at IS NULL;
CREATE INDEX leftovers_newest ON leftovers (deleted_at DESC, content_id DESC) WHERE done_at IS NULL;
CREATE INDEX leftovers_done ON leftovers (done_at) WHERE done_at IS NOT NULL;
