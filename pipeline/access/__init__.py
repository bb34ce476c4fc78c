"""Access: who makes a request, from the key or token that it shows."""
