"""arq carries stage jobs through Redis to workers. Nothing outside this package imports arq."""
