-- The list of one owner's contents, in both directions. A migration of its own: reads go on meanwhile, writes wait.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;

CREATE INDEX contents_by_owner ON contents (owner, created_at, id);
