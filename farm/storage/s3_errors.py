"""What an S3 failure means to the person at the terminal: the cause and the mend, in one line."""

from __future__ import annotations

import re

from botocore import exceptions as boto
from botocore.exceptions import ClientError

from farm.errors import ObjectNotFoundError, StorageError, StorageUnavailableError

BROKEN_BODIES = (boto.IncompleteReadError, boto.ResponseStreamingError, boto.ReadTimeoutError)
"""What reading an answer's body raises when the connection breaks off in its midst."""

_SET_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

_CODES = {
    "NoSuchBucket": "there is no such bucket; create it or correct the name",
    "AccessDenied": "access is forbidden to these credentials; grant them read and write on the bucket",
    "AllAccessDisabled": "access to the bucket is disabled; ask its owner",
    "AccountProblem": "the account has a problem; ask its owner",
    "InvalidAccessKeyId": f"the access key is not known there; {_SET_CREDENTIALS} of that service",
    "SignatureDoesNotMatch": f"the secret key does not fit the access key; {_SET_CREDENTIALS} of that service",
    "ExpiredToken": "the session's credentials have expired; log in again",
    "InvalidToken": "the session token is not valid; log in again",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it (NTP)",
    "PermanentRedirect": "the bucket lies in another region; set AWS_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket lies in another region; set AWS_REGION to it",
    "IllegalLocationConstraintException": "the bucket lies in another region; set AWS_REGION to it",
    "QuotaExceeded": "the storage quota is used up; free space or raise the quota",
    "InsufficientStorage": "the store is full; free space or enlarge it",
    "EntityTooLarge": "the object is too large for the store; lower gaits_per_shard",
    "SlowDown": "the store asks us to slow down; run with fewer workers or again later",
    "ServiceUnavailable": "the store is not available; run again later",
    "InternalError": "the store failed internally; run again later",
    "NotImplemented": "the store does not implement this request (conditional writes?); "
    "use one that does (AWS S3, Ceph, MinIO, R2)",
    "BadDigest": "the bytes arrived damaged; check the network and run again",
}

_BY_STATUS = {
    301: _CODES["PermanentRedirect"],
    401: _CODES["AccessDenied"],
    403: _CODES["AccessDenied"],
    404: "there is no such bucket or object",
    429: _CODES["SlowDown"],
    500: _CODES["InternalError"],
    501: _CODES["NotImplemented"],
    503: _CODES["ServiceUnavailable"],
    507: _CODES["InsufficientStorage"],
}

_PASSING_CODES = frozenset(
    {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeoutException", "BadDigest",
     "Throttling", "ThrottlingException", "RequestLimitExceeded", "OperationAborted", "ConditionalRequestConflict"}
)  # fmt: skip
_PASSING_STATUS = (408, 429, 500, 502, 503, 504)
"""What goes by without anybody's doing; everything else waits for a person."""

_PASSING_ERRORS = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
    boto.CredentialRetrievalError,
    boto.MetadataRetrievalError,
    boto.FlexibleChecksumError,
    boto.ChecksumError,
)

_BUCKET = re.compile(r"^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]$")


def is_bucket_name(name: str) -> bool:
    """Whether `name` follows S3's rules for general-purpose buckets."""
    return bool(_BUCKET.match(name))


def missing_object(where: str) -> str:
    """The message of an object that is not there."""
    return f"cannot read {where}: there is no such object"


def are_expired(error: RuntimeError) -> bool:
    """Whether botocore says that it fetched credentials anew and got expired ones; it has no class for that."""
    return "refreshed credentials are still expired" in str(error)


def explain(error: Exception, *, verb: str, where: str, endpoint: str | None) -> StorageError:
    """The named error for what boto raised.

    Only codes and classes are quoted, never the text of an answer: some servers
    echo the request, and with it the access key, in theirs.

    Args:
        verb: "read", "write", "list" or "delete".
        where: URI of the object.
        endpoint: Address of the service; named where the connection is at fault.
    """
    if isinstance(error, ClientError):
        return _from_answer(error, verb, where)
    passes = isinstance(error, _PASSING_ERRORS) and not isinstance(error, boto.SSLError)
    kind = StorageUnavailableError if passes else StorageError
    return kind(f"cannot {verb} {where}: {_from_client(error, endpoint or 'the S3 endpoint')}")


def _from_answer(error: ClientError, verb: str, where: str) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchKey":
        return ObjectNotFoundError(missing_object(where))
    if code in ("404", "NotFound") and status == 404:  # HEAD of a bucket: the object's own absence is told apart
        return StorageError(f"cannot {verb} {where}: {_CODES['NoSuchBucket']}")
    cause = _CODES.get(code) or _BY_STATUS.get(status) or "the store refused the request; see its log"
    safe_code = code if re.fullmatch(r"[A-Za-z0-9.]{1,64}", code) else "no code"
    kind = StorageUnavailableError if code in _PASSING_CODES or status in _PASSING_STATUS else StorageError
    return kind(f"cannot {verb} {where}: {cause} (HTTP {status}, {safe_code})")


def _from_client(error: Exception, endpoint: str) -> str:
    if isinstance(error, RuntimeError) and are_expired(error):
        return _CODES["ExpiredToken"]
    causes: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((boto.NoCredentialsError,), f"there are no credentials; {_SET_CREDENTIALS}"),
        ((boto.PartialCredentialsError,), f"the credentials are incomplete; {_SET_CREDENTIALS}"),
        ((boto.ProfileNotFound,), "AWS_PROFILE names a profile that is not configured; correct or unset it"),
        (
            (boto.CredentialRetrievalError, boto.TokenRetrievalError, boto.SSOError, boto.MetadataRetrievalError),
            "the credentials could not be fetched; log in again",
        ),
        ((boto.SSLError,), f"{endpoint} has no valid TLS certificate; check the endpoint URL, or set AWS_CA_BUNDLE"),
        ((boto.ProxyConnectionError,), "the proxy cannot be reached; check HTTPS_PROXY"),
        (
            (boto.IncompleteReadError, boto.ResponseStreamingError),
            f"the connection to {endpoint} breaks off in the midst of objects; check the network and run again",
        ),
        (
            (boto.ConnectionError, boto.HTTPClientError),
            f"{endpoint} cannot be reached; check --endpoint-url (or AWS_ENDPOINT_URL) and the network",
        ),
        ((boto.InvalidRegionError,), "AWS_REGION is not a region's name; correct it"),
        ((boto.FlexibleChecksumError, boto.ChecksumError), "the bytes arrived damaged; run again"),
    )
    for classes, cause in causes:
        if isinstance(error, classes):
            return cause
    return f"{type(error).__name__}; check AWS_* settings and the endpoint"
