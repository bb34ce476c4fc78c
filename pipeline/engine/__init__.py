"""The engine: runs stages under leases, retries them, takes them over."""
