"""The pipeline: what Sluice does with an upload, independent of HTTP and of arq's API."""
