"""The gateway: Sluice's HTTP interface. It holds no business rules; those are in `pipeline`."""
