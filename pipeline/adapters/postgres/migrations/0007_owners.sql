-- Every content belongs to an owner. Those from before there were owners belong to the owner `default`, and so does what a
-- process of an older version writes. A constant default does not rewrite the table.
SET LOCAL lock_timeout = '5s';

ALTER TABLE contents ADD COLUMN owner text NOT NULL DEFAULT 'default';
ALTER TABLE leftovers ADD COLUMN owner text NOT NULL DEFAULT 'default';
