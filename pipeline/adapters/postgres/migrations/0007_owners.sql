-- Every content belongs to an owner. Those from before there were owners belong to the owner `default`, and so does what a
-- process of an older version writes. A constant default does not rewrite the table.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;

ALTER TABLE contents ADD COLUMN owner text NOT NULL DEFAULT 'default';
ALTER TABLE leftovers ADD COLUMN owner text NOT NULL DEFAULT 'default';

-- The list of one owner's contents, in both directions. Reads go on meanwhile; writes wait.
CREATE INDEX contents_by_owner ON contents (owner, created_at, id);
