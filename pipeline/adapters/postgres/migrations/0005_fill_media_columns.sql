-- Fills the columns of 0004 in existing rows: the update runs their trigger. Reads and new contents go on meanwhile; a
-- deletion of an existing content waits for the end of this transaction, or is tried again.
SET LOCAL statement_timeout = 0;
UPDATE contents SET media = media;
