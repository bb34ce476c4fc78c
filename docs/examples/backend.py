"""A backend between browsers and Sluice: it holds the API key, creates uploads, and is notified of contents.

    pip install aiohttp standardwebhooks
    SLUICE_SERVER=https://upload.example SLUICE_KEY=... SLUICE_WEBHOOK_SECRET=whsec_... python backend.py

A browser sends `POST /uploads` with `filename`, `size` and `content_type` of a file, and sends the segments to the
gateway itself, with the token in the response. `GET /videos` lists what has become of the files. Create the webhook
once:

    sluice webhook create https://backend.example/sluice-events --event content.ready --event content.deleted

An event is kept before it is acknowledged, and processed afterwards, so none is lost when this process dies. To process
one is to read the content as it is now, so neither repeats nor the order of events matter.
"""

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

SLUICE = os.environ["SLUICE_SERVER"].rstrip("/")
KEY = {"Authorization": f"Bearer {os.environ['SLUICE_KEY']}"}
WEBHOOK = Webhook(os.environ["SLUICE_WEBHOOK_SECRET"])
RETRY_SECONDS = 5
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, content TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0,
    received REAL NOT NULL DEFAULT (julianday('now'))
);
CREATE TABLE IF NOT EXISTS videos (id TEXT PRIMARY KEY, content TEXT NOT NULL);
"""
routes = web.RouteTableDef()
DATABASE = web.AppKey("database", sqlite3.Connection)
HTTP = web.AppKey("http", aiohttp.ClientSession)
ARRIVED = web.AppKey("arrived", asyncio.Event)


@routes.post("/uploads")
async def create_upload(request: web.Request) -> web.Response:
    """Create an upload for the browser. Here you check who is signed in, and what that person may upload."""
    try:
        file = dict(await request.json())
    except (ValueError, TypeError):
        return web.json_response({"error": {"code": "BODY_NOT_JSON"}}, status=400)
    wanted = {name: file[name] for name in ("filename", "size", "content_type") if name in file}
    headers = {**KEY, "Idempotency-Key": str(uuid4())}  # with it, the second request creates no second upload
    for last in (False, True):
        with suppress(aiohttp.ClientError, TimeoutError):
            async with request.app[HTTP].post(f"{SLUICE}/v1/uploads", json=wanted, headers=headers) as response:
                found = await response.json()
                if response.status >= 500 and not last:
                    continue
                if response.status >= 400:  # such as VALIDATION_FAILED, or OWNER_LIMIT with Retry-After
                    return web.json_response({"error": found["error"]}, status=response.status)
                names = ("id", "segment_size", "segment_count", "links", "upload_token")
                return web.json_response({name: found["data"][name] for name in names}, status=201)
    return web.json_response({"error": {"code": "GATEWAY_UNREACHABLE"}}, status=502)


@routes.post("/sluice-events")
async def receive_event(request: web.Request) -> web.Response:
    """Keep an event, unless it is known, and respond at once."""
    body = await request.read()  # the signature is that of these bytes, not of parsed JSON
    try:
        # Compares in constant time, with each of the signatures, and refuses what is older than five minutes.
        event = WEBHOOK.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: a signature that is no Base64, for example
        return web.Response(status=401)
    if event["type"] in ("content.ready", "content.deleted"):
        with request.app[DATABASE] as database:  # a transaction
            known = (request.headers["webhook-id"], event["data"]["upload_id"])
            database.execute("INSERT INTO events (id, content) VALUES (?, ?) ON CONFLICT DO NOTHING", known)
        request.app[ARRIVED].set()
    return web.Response(status=204)


@routes.get("/videos")
async def list_videos(request: web.Request) -> web.Response:
    rows = request.app[DATABASE].execute("SELECT content FROM videos ORDER BY id").fetchall()
    return web.json_response([json.loads(content) for (content,) in rows])


async def process_events(app: web.Application) -> None:
    """Process events that are kept, also those of an earlier run. What fails is tried again."""
    while True:
        app[ARRIVED].clear()
        waiting = app[DATABASE].execute("SELECT id, content FROM events WHERE NOT done ORDER BY received").fetchall()
        for event_id, content_id in waiting:
            try:
                await process(app, event_id, content_id)
            except (aiohttp.ClientError, TimeoutError, ValueError, sqlite3.Error) as error:
                logging.warning("event %s is processed later: %s", event_id, error)
        with suppress(TimeoutError):
            await asyncio.wait_for(app[ARRIVED].wait(), RETRY_SECONDS)


async def process(app: web.Application, event_id: str, content_id: str) -> None:
    """Keep the content as it is now: its row, or nothing if it is deleted. Raises what `process_events` catches."""
    async with app[HTTP].get(f"{SLUICE}/v1/contents/{content_id}", headers=KEY) as response:
        if response.status != 404:
            response.raise_for_status()
        content = (await response.json())["data"] if response.status == 200 else None
    with app[DATABASE] as database:
        if content is None:
            database.execute("DELETE FROM videos WHERE id = ?", (content_id,))
        else:
            database.execute("REPLACE INTO videos VALUES (?, ?)", (content_id, json.dumps(content)))
        database.execute("UPDATE events SET done = 1 WHERE id = ?", (event_id,))
        # Sluice repeats an event for three days, and can replay it for a week.
        database.execute("DELETE FROM events WHERE done AND received < julianday('now') - 10")


async def running(app: web.Application) -> AsyncIterator[None]:
    app[DATABASE] = sqlite3.connect(os.environ.get("DATABASE", "backend.db"))
    app[DATABASE].executescript(SCHEMA)
    app[ARRIVED] = asyncio.Event()
    app[HTTP] = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
    processing = asyncio.create_task(process_events(app))
    yield
    processing.cancel()
    with suppress(asyncio.CancelledError):
        await processing
    await app[HTTP].close()
    app[DATABASE].close()


if __name__ == "__main__":
    backend = web.Application(client_max_size=1024 * 1024)
    backend.add_routes(routes)
    backend.cleanup_ctx.append(running)
    web.run_app(backend, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8000")))
