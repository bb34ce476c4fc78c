"""The pipeline: what Sluice does with an upload, free of HTTP and of arq."""
