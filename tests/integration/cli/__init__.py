"""The `sluice` command against a real gateway, real workers and real servers, all as processes of their own."""
