"""What the HTTP object stores share: sending requests, error translation, payloads, deadlines."""
