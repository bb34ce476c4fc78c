"""The workers: arq glue, one module per worker type."""
