"""PostgreSQL: content metadata and pending deletions. Queries and migrations are .sql files."""
