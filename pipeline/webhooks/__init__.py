"""Webhooks: `service` manages endpoints, `news` copies facts from Redis to the outbox, `delivery` calls endpoints."""
