"""`sluice receipt`: fetches receipts of contents, verifies them without a server, and makes the keys that sign them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.cli.client import SluiceClient
from deploy.cli.errors import FileUnusableError
from deploy.cli.formatting import format_ranges
from deploy.cli.names import shown
from deploy.cli.options import json_option, key_option, server_option
from pipeline.core.segments import to_ranges

if TYPE_CHECKING:  # imported only where a command needs them, so that --help is fast
    from schemas.receipts import ReceiptClaims

_MOST_BYTES = 4 * 1024 * 1024
"""Of a receipt or a list of keys: a receipt of 10,000 segments has about 80 KB."""


@click.group()
def receipt() -> None:
    """Fetch and verify receipts: signed statements of the bytes that a content has."""


@receipt.command("new-key")
def new_key() -> None:
    """Print a new private key for SLUICE_RECEIPT_KEYS. Keep it secret: anyone who has it can sign receipts."""
    from pipeline.adapters.tokens.receipts import new_private_key

    click.echo(new_private_key())


@receipt.command()
@click.argument("content_id", metavar="ID")
@server_option
@key_option
def get(content_id: str, server: str, key: str | None) -> None:
    """Print the receipt of content ID, as `verify` reads it."""

    async def run() -> str:
        async with SluiceClient(server, key=key) as client:
            return (await client.receipt(content_id)).receipt

    click.echo(asyncio.run(run()))


@receipt.command()
@click.argument("receipt_file", metavar="RECEIPT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    required=True,
    metavar="URL_OR_FILE",
    help="The public keys: a JWK Set, in a file or at a URL. That of a server is its /v1/receipt-keys. A copy in a "
    "file verifies receipts also when the server is gone.",
)
@click.option(
    "--file",
    "file",
    metavar="PATH",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also compare this file with the receipt, segment by segment.",
)
@json_option("Print one JSON object: what the receipt states, and what is wrong.")
def verify(receipt_file: Path, keys: str, file: Path | None, as_json: bool) -> None:
    """Verify the receipt in the file RECEIPT: the token itself, or a response of the API that contains it.

    The exit status is 0 only if its signature is valid and, with --file, the file has the bytes that it states.
    """
    from pipeline.adapters.tokens.receipts import ReceiptError, verified

    try:
        claims, name = verified(_token(_text(receipt_file)), asyncio.run(_key_set(keys)))
        faults = [] if file is None else _compare(file, claims)
    except ReceiptError as error:
        _end(as_json, None, "", [f"The receipt is not valid: {error}."])
    else:
        _end(as_json, claims, name, faults, compared=file)


def _end(
    as_json: bool, claims: ReceiptClaims | None, name: str, faults: list[str], *, compared: Path | None = None
) -> None:
    if as_json:
        stated = None if claims is None else claims.model_dump(mode="json")
        click.echo(json.dumps({"valid": not faults, "faults": faults, "key": name or None, "claims": stated}))
    else:
        if claims is not None:
            click.echo(f"Signed by {shown(claims.iss)} with key {shown(name)}")
            click.echo(
                f"{shown(claims.filename)}: content {shown(claims.sub)}, {claims.size} bytes in "
                f"{claims.segments.count} segments, complete at {claims.created_at.isoformat()}"
            )
            click.echo(f"Digests: {shown(', '.join(claims.digests)) or 'none'}")
        for fault in faults:
            click.echo(f"Error: {fault}", err=True)
        if compared is not None and not faults:
            click.echo(f"{shown(str(compared))} has the bytes that the receipt states")
    sys.exit(1 if faults else 0)


def _compare(file: Path, claims: ReceiptClaims) -> list[str]:
    """What of the file differs from the receipt. Raises ReceiptError where that states no digest."""
    from deploy.cli.segment_file import SegmentFile
    from pipeline.adapters.tokens.receipts import ReceiptError
    from pipeline.core.crc32c import combined_crc32c
    from pipeline.core.digests import crc32c_digest, format_content_digest

    try:
        stated = list(claims.segments.each())
    except ValueError as error:
        raise ReceiptError(str(error)) from None
    own = [digest for digest in claims.digests if digest.startswith("crc32c=")]
    if not own:
        raise ReceiptError("it states no CRC-32C to compare the file with")
    found: list[int] = []
    with SegmentFile(file) as opened:
        size, offset = opened.stat.st_size, 0
        if size != claims.size:
            return [f"{shown(str(file))} has {size} bytes; the receipt states {claims.size}."]
        for length, _ in stated:
            found.append(opened.crc32c(offset, length))
            offset += length
        opened.check_unchanged()
    wrong = [
        number
        for number, ((_, crc32c), actual) in enumerate(zip(stated, found, strict=True), 1)
        if crc32c not in (None, actual)
    ]
    if wrong:
        return [f"Segments {format_ranges(to_ranges(wrong))} of {shown(str(file))} differ from the receipt."]
    whole = combined_crc32c(zip((segment for segment, _ in stated), found, strict=True)) or 0
    actual_digest = format_content_digest(crc32c_digest(whole))
    return [] if actual_digest in own else [f"{shown(str(file))} has {actual_digest}; the receipt states {own[0]}."]


def _token(text: str) -> str:
    """The receipt of a file: the token itself, or the data of a response with or without its envelope."""
    try:
        data: Any = json.loads(text)
    except ValueError:
        return text.strip()
    if isinstance(data, dict) and isinstance(data.get("data"), dict):
        data = data["data"]
    return str(data.get("receipt", "")) if isinstance(data, dict) else ""


async def _key_set(place: str) -> Mapping[str, Any]:
    """Raises click.ClickException."""
    if place.startswith(("http://", "https://")):
        text = await _fetched(place)
    else:
        text = _text(Path(place))
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("keys"), list):
        raise click.ClickException(f"{shown(place)} is not a JWK Set: a JSON object with `keys`.")
    return data


async def _fetched(url: str) -> str:
    from pipeline.adapters.plain_http import HttpPlainClient
    from pipeline.core.errors import StoreUnavailable

    try:
        async with HttpPlainClient() as client:
            response = await client.request("GET", url, headers={}, max_bytes=_MOST_BYTES)
    except StoreUnavailable as error:
        raise click.ClickException(f"{shown(url)}: {error.detail['reason']}") from None
    if response.status != 200:
        raise click.ClickException(f"{shown(url)} responds with status {response.status}.")
    return response.body.decode("utf-8", "replace")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise FileUnusableError.of(error) from None
