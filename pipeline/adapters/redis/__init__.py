"""Redis: uploads in flight, reservations, stage leases and wake signals."""
