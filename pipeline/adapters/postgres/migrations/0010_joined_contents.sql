-- A content that was joined from partial uploads: its segments are stored under their ids and numbers, and so its deletion
-- has to look there too. null and {}: under the content's own.
SET LOCAL lock_timeout = '5s';

ALTER TABLE content_segments ADD COLUMN stored_as uuid, ADD COLUMN stored_number integer;
ALTER TABLE leftovers ADD COLUMN parts uuid[] NOT NULL DEFAULT '{}';
