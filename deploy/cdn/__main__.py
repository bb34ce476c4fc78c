"""`python -m deploy.cdn`: writes nginx.conf for the cache, from its options and Sluice's settings."""

from __future__ import annotations

import time
from pathlib import Path

import click

from deploy.cdn import CdnOptions, make_directories, origin_query, render
from pipeline.adapters.object_store.swift import TempUrlSigner
from pipeline.settings import Settings

_DAY_SECONDS = 86_400


@click.command()
@click.option(
    "--directory", type=click.Path(path_type=Path), required=True, help="Directory of the cache and its configuration."
)
@click.option(
    "--storage-url",
    required=True,
    help="URL of the Swift account, https://swift.example/v1/AUTH_..., as `swift auth` prints it.",
)
@click.option(
    "--listen", default="443", show_default=True, help="Address that the cache listens on, as in nginx's `listen`."
)
@click.option("--server-name", required=True, help="Host name of the cache.")
@click.option(
    "--certificate", type=click.Path(exists=True, path_type=Path), required=True, help="TLS certificate (PEM)."
)
@click.option(
    "--certificate-key", type=click.Path(exists=True, path_type=Path), required=True, help="Its private key (PEM)."
)
@click.option(
    "--purge-listen",
    default="127.0.0.1:8090",
    show_default=True,
    help="Address for purges; only gateways and workers may reach it.",
)
@click.option("--user", default="", help="User that nginx's workers run as, when root starts nginx.")
@click.option("--days", default=365, show_default=True, help="How many days the cache can read from the store.")
def main(
    directory: Path,
    storage_url: str,
    listen: str,
    server_name: str,
    certificate: Path,
    certificate_key: Path,
    purge_listen: str,
    user: str,
    days: int,
) -> None:
    """Write DIRECTORY/nginx.conf. Start the cache with `nginx -c DIRECTORY/nginx.conf`."""
    settings = Settings()
    key = settings.swift_tempurl_key.get_secret_value()
    token = settings.cdn_purge_token.get_secret_value()
    if not key or not token:
        raise click.UsageError("Set SLUICE_SWIFT_TEMPURL_KEY and SLUICE_CDN_PURGE_TOKEN.")
    signer = TempUrlSigner(key, settings.swift_tempurl_digest)
    query = origin_query(signer, storage_url, settings.swift_container, int(time.time()) + days * _DAY_SECONDS)
    make_directories(directory)
    path = directory.absolute() / "nginx.conf"
    path.touch(mode=0o600)  # it contains a signature and a token
    path.write_text(
        render(
            CdnOptions(
                directory,
                storage_url,
                settings.swift_container,
                query,
                listen,
                server_name,
                certificate.absolute(),
                certificate_key.absolute(),
                purge_listen,
                token,
                user=user,
            )
        )
    )
    click.echo(str(path))


if __name__ == "__main__":
    main()
