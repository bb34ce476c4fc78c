-- Leftovers: contents that were deleted, and what of them may still lie in a store or a cache. A row is written by the
-- statement that removes the content's row, so nothing is ever forgotten between the two. `due_at` is also the lease of
-- whoever is removing it now. A row that is done stays for a while: it keeps a late `persist` from bringing it back.
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
