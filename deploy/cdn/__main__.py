"""`python -m deploy.cdn`: writes nginx.conf for the cache of deploy/cdn, from a few options and Sluice's settings."""

from __future__ import annotations

import time
from pathlib import Path

import click

from deploy.cdn import CdnOptions, make_directories, origin_query, render
from pipeline.adapters.object_store.swift import TempUrlSigner
from pipeline.settings import Settings

_DAY_SECONDS = 86_400


@click.command()
@click.option("--directory", type=click.Path(path_type=Path), required=True, help="Where the cache lives")
@click.option("--storage-url", required=True, help="https://swift.example/v1/AUTH_..., as `swift auth` prints it")
@click.option("--listen", default="443", show_default=True, help="Address of the cache, as nginx's `listen` takes it")
@click.option("--server-name", required=True, help="The cache's host name")
@click.option("--certificate", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--certificate-key", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--purge-listen", default="127.0.0.1:8090", show_default=True, help="For gateway and workers only")
@click.option("--user", default="", help="Whom nginx's workers run as, when it is started by root")
@click.option("--days", default=365, show_default=True, help="How long the cache may read from the store")
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
    """Write DIRECTORY/nginx.conf, to be run by `nginx -c DIRECTORY/nginx.conf`."""
    settings = Settings()
    key = settings.swift_tempurl_key.get_secret_value()
    token = settings.cdn_purge_token.get_secret_value()
    if not key or not token:
        raise click.UsageError("SLUICE_SWIFT_TEMPURL_KEY and SLUICE_CDN_PURGE_TOKEN are needed")
    signer = TempUrlSigner(key, settings.swift_tempurl_digest)
    query = origin_query(signer, storage_url, settings.swift_container, int(time.time()) + days * _DAY_SECONDS)
    make_directories(directory)
    path = directory.absolute() / "nginx.conf"
    path.touch(mode=0o600)  # it holds a signature and a token
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
