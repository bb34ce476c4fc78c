"""Access: finds the caller of a request from its key or token."""
