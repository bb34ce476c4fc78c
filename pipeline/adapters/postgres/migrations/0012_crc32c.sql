-- The CRC-32C of a content's bytes, and of each of its segments, as they arrived: 0 to 4294967295. Null: not known. Columns
-- without a default change no row, so the lock is short; releases that do not know them write null.
SET LOCAL lock_timeout = '5s';

ALTER TABLE contents ADD COLUMN crc32c bigint;
ALTER TABLE content_segments ADD COLUMN crc32c bigint;
