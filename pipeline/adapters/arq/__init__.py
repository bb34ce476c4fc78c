"""arq carries stage jobs from Redis to workers. Nothing outside this package knows arq."""
