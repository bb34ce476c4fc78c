"""Seeds a new Keystone through its API: the service user of the Swift proxy, and the project and user `media`.

It creates what an operator creates by hand for Sluice: a user with the role `swiftoperator` in one project, an
application credential, an EC2 credential for the S3 API, and the object-store endpoint in the catalogue. A second user,
`media-client`, has no right in Swift but what a container's ACL gives it; its tokens may be delegated to clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploy.embedded.http import call_json
from deploy.embedded.passwords import Passwords
from deploy.embedded.swift_config import SERVICE_PROJECT, SERVICE_USER

DOMAIN_ID, DOMAIN_NAME = "default", "Default"
REGION = "RegionOne"
ADMIN_USER, ADMIN_PROJECT = "admin", "admin"
USER, PROJECT = "media", "media"
DELEGATED_USER = "media-client"
OPERATOR_ROLE = "swiftoperator"


@dataclass(frozen=True)
class Seeded:
    """The ids and secrets that Keystone generated."""

    project_id: str
    delegated_user_id: str
    application_credential_id: str
    application_credential_secret: str
    ec2_access_key: str
    ec2_secret_key: str


def seed(keystone_url: str, swift_url: str, passwords: Passwords) -> Seeded:
    """Seeds the Keystone at `keystone_url` (.../v3). `swift_url` is the proxy that validates tokens with it."""
    admin = _Session(keystone_url, ADMIN_USER, passwords.keystone_admin, ADMIN_PROJECT)
    roles = {role["name"]: str(role["id"]) for role in admin.call("GET", "/roles")["roles"]}
    roles[OPERATOR_ROLE] = admin.create("role", {"name": OPERATOR_ROLE})
    service_project = admin.create("project", {"name": SERVICE_PROJECT, "domain_id": DOMAIN_ID})
    media_project = admin.create("project", {"name": PROJECT, "domain_id": DOMAIN_ID})
    service_user = admin.create(
        "user", {"name": SERVICE_USER, "password": passwords.keystone_swift, "domain_id": DOMAIN_ID}
    )
    media_user = admin.create("user", {"name": USER, "password": passwords.keystone_media, "domain_id": DOMAIN_ID})
    delegated = {"name": DELEGATED_USER, "password": passwords.keystone_client, "domain_id": DOMAIN_ID}
    delegated_user = admin.create("user", delegated)
    for project, user, role in (
        (service_project, service_user, "admin"),
        (service_project, service_user, "service"),
        (media_project, media_user, "member"),
        (media_project, media_user, OPERATOR_ROLE),
        (media_project, delegated_user, "member"),
    ):
        admin.call("PUT", f"/projects/{project}/users/{user}/roles/{roles[role]}")
    service = admin.create("service", {"type": "object-store", "name": "swift"})
    for interface in ("public", "internal", "admin"):
        endpoint = {"service_id": service, "interface": interface, "region_id": REGION}
        admin.create("endpoint", {**endpoint, "url": f"{swift_url}/v1/AUTH_%(project_id)s"})

    # Only the user can create these credentials; an administrator cannot.
    media = _Session(keystone_url, USER, passwords.keystone_media, PROJECT)
    ec2 = media.call("POST", f"/users/{media_user}/credentials/OS-EC2", {"tenant_id": media_project})["credential"]
    application = media.call(
        "POST", f"/users/{media_user}/application_credentials", {"application_credential": {"name": "sluice"}}
    )["application_credential"]
    return Seeded(media_project, delegated_user, application["id"], application["secret"], ec2["access"], ec2["secret"])


def allow_writing(keystone_url: str, password: str, container_url: str, user_id: str) -> None:
    """Creates a container of the project `media`, and lets a user of any project write to it (Swift's ACL)."""
    _Session(keystone_url, USER, password, PROJECT).allow_writing(container_url, user_id)


class _Session:
    """API calls with the token of one user in one project."""

    def __init__(self, keystone_url: str, user: str, password: str, project: str) -> None:
        self._url = keystone_url
        domain = {"id": DOMAIN_ID}
        login = {"name": user, "domain": domain, "password": password}
        identity = {"methods": ["password"], "password": {"user": login}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}}
        _, headers = call_json("POST", f"{keystone_url}/auth/tokens", body)
        self._token = headers["X-Subject-Token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return call_json(method, self._url + path, body, self._token)[0]

    def allow_writing(self, container_url: str, user_id: str) -> None:
        call_json("PUT", container_url, token=self._token, headers={"X-Container-Write": f"*:{user_id}"})

    def create(self, kind: str, fields: dict[str, Any]) -> str:
        """Creates a role, project, user, service or endpoint; returns its id."""
        return str(self.call("POST", f"/{kind}s", {kind: fields})[kind]["id"])
