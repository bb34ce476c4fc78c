"""PostgreSQL: content metadata. Queries and migrations are .sql files."""
