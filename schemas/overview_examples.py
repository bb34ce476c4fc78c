"""Examples of what the dashboard's routes return: a cell that receives the upload of `schemas.examples` and four more,
while another one waits for room."""

from __future__ import annotations

from typing import Final

from schemas.examples import EXAMPLE_ID, UPLOAD, Example

_VOLUME: Final = "local"
_GIB: Final = 1024**3
_WAITING_ID: Final = "01a21cbf-51e3-7c3e-9d54-20c1b7f4e8a6"
_FAILED_ID: Final = "01a21c9c-f875-7a41-8f0b-6d2c95e3b714"
_NOW: Final = "2026-11-27T11:23:52.340Z"
_RESERVED: Final = 18 * _GIB + UPLOAD["size"]
_BUDGET: Final = 20 * _GIB
_FREE: Final = 214_748_364_800
_WORKER: Final = "media-1:4711"
_TYPES: Final = {
    "transfer": "transfer",
    "seal": "transfer",
    "assemble": "assemble",
    "probe": "probe",
    "thumbnail": "thumbnail",
    "persist": "persist",
}
_DONE: Final = {"transfer": 1841, "seal": 1838, "probe": 1840, "thumbnail": 1839, "persist": 1836}
_RATES: Final = {"transfer": 6.2, "seal": 6.2, "probe": 6.4, "thumbnail": 6.4, "persist": 6.0}
_COUNTS: Final = {
    "granted": 2,
    "waiting": 1,
    "admitted": 0,
    "receiving": 5,
    "processing": 0,
    "ready": 1836,
    "failed": 3,
    "expired": 1,
    "cancelled": 0,
}
_OLDEST: Final = {
    "granted": "2026-11-27T11:02:10.004Z",
    "waiting": "2026-11-27T11:23:50.118Z",
    "receiving": "2026-11-27T11:20:33.871Z",
    "ready": "2026-11-26T11:25:03.517Z",
    "failed": "2026-11-26T19:40:12.920Z",
    "expired": "2026-11-27T02:11:31.006Z",
}

OVERVIEW: Final[Example] = {
    "at": _NOW,
    "volumes": [
        {
            "cell": 0,
            "name": _VOLUME,
            "budget": _BUDGET,
            "reserved": _RESERVED,
            "on_disk": _RESERVED,
            "free": _FREE,
            "measured_at": "2026-11-27T11:23:51.904Z",
            "admission_ran_at": "2026-11-27T11:23:51.911Z",
            "draining_since": None,
            "holding": 5,
            "waiting": 1,
            "queue": [
                {
                    "id": _WAITING_ID,
                    "owner": "default",
                    "filename": "feature.mov",
                    "size": 3 * _GIB,
                    "requested": 3 * _GIB,
                    "waiting_since": "2026-11-27T11:23:50.118Z",
                    "overtaken": 0,
                }
            ],
            "history": [
                {
                    "at": "2026-11-27T11:23:50.002Z",
                    "budget": _BUDGET,
                    "reserved": _RESERVED,
                    "on_disk": _RESERVED,
                    "free": _FREE,
                    "waiting": 0,
                    "holding": 5,
                }
            ],
        }
    ],
    "statuses": [
        {"status": status, "count": count, "oldest_since": _OLDEST.get(status)} for status, count in _COUNTS.items()
    ],
    "queues": [
        {
            "cell": 0,
            "worker": worker,
            "volume": None if worker == "persist" else _VOLUME,
            "depth": 1 if worker == "thumbnail" else 0,
            "oldest_due_since": "2026-11-27T11:23:52.300Z" if worker == "thumbnail" else None,
        }
        for worker in dict.fromkeys(_TYPES.values())
    ],
    "stages": [
        {
            "stage": stage,
            "worker": worker,
            "done": _DONE.get(stage, 0),
            "retried": 4 if stage == "persist" else 0,
            "failed": 3 if stage == "probe" else 0,
            "taken_over": 0,
            "done_per_minute": _RATES.get(stage, 0.0),
            "wait_seconds": 0.042 if stage in _DONE else None,
        }
        for stage, worker in _TYPES.items()
    ],
    "rate_seconds": 290.338,
    "workers": [
        {
            "cell": 0,
            "name": _WORKER,
            "types": ["admission", *dict.fromkeys(_TYPES.values())],
            "volume": _VOLUME,
            "seen_at": "2026-11-27T11:23:49.750Z",
            "confinement": "complete",
        }
    ],
    "failures": {
        "examined": 4,
        "complete": True,
        "since": _OLDEST["failed"],
        "codes": [
            {
                "code": "NOT_MEDIA",
                "count": 3,
                "latest_at": "2026-11-27T10:46:20.655Z",
                "latest_id": _FAILED_ID,
            },
            {
                "code": "UPLOAD_EXPIRED",
                "count": 1,
                "latest_at": _OLDEST["expired"],
                "latest_id": "01a21ac4-bdd5-7d18-a3c6-e4f10982d57b",
            },
        ],
    },
    "unreachable_cells": [],
}

SEARCH: Final[Example] = {"search": "holiday", "status": "receiving"}
FOUND: Final[Example] = {"items": [UPLOAD], "examined": 1848, "next_cursor": None, "unreachable_cells": []}


def _bar(stage: str) -> Example:
    """As the upload shows the stage."""
    shown = UPLOAD["stages"][stage]
    return {
        "stage": stage,
        "state": shown["state"],
        "state_since": shown["finished_at"] or shown["started_at"],
        "due_at": None if shown["started_at"] is None else "2026-11-27T11:23:47.098Z",
        "started_at": shown["started_at"],
        "finished_at": shown["finished_at"],
        "attempts": shown["attempts"],
        "failures": 0,
        "outages": 0,
        "takeovers": 0,
        "outage_since": None,
        "outage_dependency": None,
        "waits_for": None,
        "worker": _WORKER if shown["attempts"] else None,
        "error_code": shown["error_code"],
    }


TIMELINE: Final[Example] = {
    "upload": UPLOAD,
    "admitted_at": "2026-11-27T11:23:46.480Z",
    "receiving_at": "2026-11-27T11:23:47.098Z",
    "received_at": None,
    "ended_at": None,
    "cleaned_at": None,
    "stages": [_bar(stage) for stage in UPLOAD["stages"]],
}
RETRY: Final[Example] = {"id": EXAMPLE_ID, "stage": "thumbnail", "state": "queued", "retried": True}
