"""Errors of S3 and of its driver, as errors of the catalogue.

Guarantee: no error of botocore leaves the adapter. The store's own code decides ("Error responses" of the API
reference), or the status where the response has no code. A driver's error means that no response came, or none that
botocore can parse; it may be retried, unless it is about our own parameters and settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import aiohttp
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.http.verdicts import Verdict, refused, verdict_of_status
from pipeline.core.errors import DigestRefused, StoreError, StoreUnavailable

_REASON_CHARACTERS = 512

MISSING_BUCKET = "NoSuchBucket"
DIGEST_CODES = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})
"""The bytes that arrived do not have the digest that was sent with them. The second one: MinIO, of checksums."""
MISSING_SESSION_CODES = frozenset({"NoSuchUpload"})

_CODES_BY_VERDICT: Mapping[Verdict, str] = {
    # 400: a slow connection, damaged bytes. 403: a full quota, which an operator may raise; clocks that differ. 409:
    # another request is working on the same name.
    Verdict.TRANSIENT: """
        BadDigest BandwidthLimitExceeded Busy ConditionalRequestConflict IncompleteBody InternalError
        InternalServerError OperationAborted QuotaExceeded RequestLimitExceeded RequestThrottled RequestTimeout
        RequestTimeTooSkewed ServiceFailure ServiceUnavailable SlowDown SlowDownRead SlowDownWrite TemporaryRedirect
        Throttling ThrottlingException TooManyRequests TooManyRequestsException XAmzContentChecksumMismatch
        XAmzContentSHA256Mismatch XMinioServerNotInitialized XMinioStorageFull""",
    Verdict.CREDENTIALS: """
        AccessDenied AccountProblem AllAccessDisabled AuthFailure AuthorizationHeaderMalformed
        AuthorizationQueryParametersError CredentialsNotSupported ExpiredToken ExpiredTokenException Forbidden
        InvalidAccessKeyId InvalidPayer InvalidSecurity InvalidSignature InvalidToken InvalidTokenId
        MissingAuthenticationToken NotSignedUp RequestExpired SignatureDoesNotMatch TokenRefreshRequired
        Unauthorized UnauthorizedAccess UserSuspended""",
    Verdict.MISSING: "NoSuchBucket NoSuchKey NoSuchVersion NotFound",
    Verdict.SESSION_LOST: "NoSuchUpload",
    Verdict.MANIFEST: "InvalidPart InvalidPartOrder",
    Verdict.UNSUPPORTED: """
        MethodNotAllowed MethodNotImplemented NotImplemented NotSupported OperationNotSupported UnsupportedOperation
        XNotImplemented""",
    Verdict.REJECTED: """
        AccessControlListNotSupported AmbiguousGrantByEmailAddress BucketAlreadyExists BucketAlreadyOwnedByYou
        BucketNotEmpty ClientTokenConflict ConnectionClosedByRequester CrossLocationLoggingProhibited EntityTooLarge
        EntityTooSmall IllegalLocationConstraintException IllegalVersioningConfigurationException
        IncorrectNumberOfFilesInPostRequest InlineDataTooLarge InvalidAddressingHeader InvalidArgument
        InvalidBucketAclWithObjectOwnership InvalidBucketName InvalidBucketOwnerAWSAccountID InvalidBucketState
        InvalidDigest InvalidEncryptionAlgorithmError InvalidHostHeader InvalidHttpMethod InvalidLocationConstraint
        InvalidObjectState InvalidPolicyDocument InvalidRange InvalidRegion InvalidRequest InvalidSessionException
        InvalidSOAPRequest InvalidStorageClass InvalidTag InvalidTargetBucketForLogging InvalidURI KeyTooLongError
        MalformedACLError MalformedPOSTRequest MalformedXML MaxMessageLengthExceeded
        MaxPostPreDataLengthExceededError MetadataTooLarge MissingAttachment MissingContentLength
        MissingRequestBodyError MissingSecurityElement MissingSecurityHeader NoLoggingStatusForKey
        NoSuchBucketPolicy NoSuchCORSConfiguration NoSuchLifecycleConfiguration NoSuchTagSet
        NotDeviceOwnerError NotModified ObjectLockConfigurationNotFoundError ObjectNotInActiveTierError
        OwnershipControlsNotFoundError PermanentRedirect PreconditionFailed Redirect RequestHeaderSectionTooLarge
        RequestIsNotMultiPartContent
        RequestTorrentOfBucketError ResponseInterrupted RestoreAlreadyInProgress
        ServerSideEncryptionConfigurationNotFoundError TooManyBuckets TooManyParts
        UnexpectedContent UnexpectedIPError UnresolvableGrantByEmailAddress UserKeyMustBeSpecified""",
}
CODES: Mapping[str, Verdict] = {code: verdict for verdict, codes in _CODES_BY_VERDICT.items() for code in codes.split()}
"""The class of every code that the API reference lists, and of codes of other servers. Any other counts by its
status."""

_CREDENTIAL_ERRORS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.NoAuthTokenError,
)
# Of our own making: parameters and settings that no server ever sees.
_SETTING_ERRORS = (
    boto.ParamValidationError,
    boto.ValidationError,
    boto.DataNotFoundError,
    boto.NoRegionError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.UnknownEndpointError,
    boto.EndpointProviderError,
    boto.UnsupportedS3ConfigurationError,
    boto.InvalidS3AddressingStyleError,
    boto.InvalidRetryConfigurationError,
    boto.InvalidRetryModeError,
    boto.UnknownSignatureVersionError,
)


def refusal(code: str, status: int, said: str, headers: Mapping[str, str], what: str, key: str) -> StoreError:
    """The error for an unexpected response. `store_code` in its detail is the store's own code."""
    reason = f"{what}: {status} {code[:64]} {said[:_REASON_CHARACTERS]}".rstrip()
    if code in DIGEST_CODES:
        return DigestRefused(reason=reason, store_code=code)
    return refused(s3_verdict(code, status), reason, key=key, headers=headers, store_code=code)


def s3_verdict(code: str, status: int) -> Verdict:
    """The store's own code decides; the status where there is none, or one that the table does not have (the code of a
    HEAD is its status)."""
    return CODES.get(code) or verdict_of_status(status)


@contextmanager
def store_errors(what: str, key: str) -> Iterator[None]:
    """Translate every error of botocore and of the HTTP client that it uses."""
    try:
        with driver_errors(what):
            yield
    except boto.ClientError as error:
        response: Mapping[str, Any] = error.response
        facts = response.get("Error", {})
        metadata = response.get("ResponseMetadata", {})
        headers = {name.title(): value for name, value in metadata.get("HTTPHeaders", {}).items()}
        code, status = str(facts.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
        raise refusal(code, status, str(facts.get("Message", "")), headers, what, key) from error
    except _CREDENTIAL_ERRORS as error:
        raise StoreError("STORE_AUTH_FAILED", reason=f"{what}: {error}") from error
    except _SETTING_ERRORS as error:
        raise StoreError("STORE_REJECTED", reason=f"{what}: {error}") from error
    except (boto.BotoCoreError, ResponseParserError) as error:
        raise StoreUnavailable(reason=f"{what}: {' '.join(str(error).split())[:_REASON_CHARACTERS]}") from error


@contextmanager
def on_session() -> Iterator[None]:
    """For requests on an open multipart upload. They create no name of their own, so "missing" means the session, or
    the bucket with its sessions. Raises StoreError STORE_SESSION_LOST."""
    try:
        yield
    except StoreError as error:
        if error.code != "STORE_OBJECT_MISSING":
            raise
        raise StoreError(
            "STORE_SESSION_LOST", reason=error.detail["reason"], store_code=error.detail["store_code"]
        ) from error


async def response_refusal(response: aiohttp.ClientResponse, what: str, key: str) -> StoreError:
    """As `refusal`, for a request that did not go through botocore: the body is XML with Code and Message."""
    code = said = ""
    try:
        root = ElementTree.fromstring(await response.content.read(64 * 1024))  # noqa: S314  bounded, from the store
        code, said = root.findtext("Code", ""), root.findtext("Message", "")
    except (ElementTree.ParseError, ValueError, LookupError):  # no XML, or in an encoding that does not exist
        said = response.reason or ""
    return refusal(code, response.status, said, response.headers, what, key)
