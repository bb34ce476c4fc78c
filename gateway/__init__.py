"""The gateway: HTTP in. Thin; business rules live in `pipeline`."""
