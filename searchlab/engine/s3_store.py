"""Checkpoints in a bucket of Amazon S3, or of another service that speaks its protocol."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable

S3_SCHEME = "s3://"
BUCKET_PATH = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)(?:/(?P<prefix>[^?#@]+))?")
CONNECT_TIMEOUT, READ_TIMEOUT = 3, 5  # seconds; the second is of silence, not of the whole request
TRANSIENT_CODES = {  # S3's error codes with a status below 500 that another attempt may not meet
    "OperationAborted",  # two writes of one blob at the same time
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}


class S3Store:
    """A prefix of a bucket, by its URL s3://BUCKET/PREFIX, with one object for each blob.

    The environment says where the service is (AWS_ENDPOINT_URL, AWS_REGION), and holds the credentials
    (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or any other source that boto3 knows). The URL never holds them.
    """

    def __init__(self, url: str) -> None:
        path = url.removeprefix(S3_SCHEME).rstrip("/")
        found = BUCKET_PATH.fullmatch(path)
        if not url.startswith(S3_SCHEME) or not found:
            raise UserMistake(
                "checkpoints are stored in a folder or in a bucket, whose URL reads s3://BUCKET/PREFIX and holds no "
                "credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment."
            )
        self._path, self._bucket, self._prefix = path, found["bucket"], found["prefix"]

    def __str__(self) -> str:
        return f"{S3_SCHEME}{self._path}"

    def validate_client(self) -> None:
        """Raise UserMistake when boto3 is not installed here."""
        if find_spec("boto3") is None:
            raise UserMistake(
                f"checkpoints in {self} need boto3, which is not installed here; `pip install 'searchlab[cluster]'` "
                "installs it."
            )

    def write(self, name: str, content: bytes) -> None:
        with self._translated_errors(name, "written"):  # a small blob is one request, a large one is sent in parts
            self._client.upload_fileobj(io.BytesIO(content), self._bucket, self._key(name), Config=self._transfer)

    def read(self, name: str) -> bytes | None:
        with self._translated_errors(name, "read"):
            content: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read()
            return content
        return None

    def delete(self, name: str) -> None:
        with self._translated_errors(name, "deleted"):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @cached_property
    def _transfer(self) -> Any:
        from boto3.s3.transfer import TransferConfig

        return TransferConfig(use_threads=False)  # checkpoints are small, and their writer may have one core

    @cached_property
    def _client(self) -> Any:
        import boto3  # here alone: it takes half a second, and a folder needs none of it
        from botocore.config import Config

        endpoint = _endpoint_url()
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": 1},  # RetryPolicy repeats requests, and must know how long an outage lasts
            s3={"addressing_style": "path"} if endpoint else None,  # BUCKET.HOST needs a name server that knows it
            request_checksum_calculation="when_required",  # not every service that speaks S3 knows the newer ones
            response_checksum_validation="when_required",
        )
        region = region or ("us-east-1" if endpoint else None)  # other services ignore it, a signature needs one
        try:
            return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config)
        except ValueError as error:
            raise UserMistake(f"AWS_ENDPOINT_URL is not the URL of an S3 service: {error}.") from error

    @contextmanager
    def _translated_errors(self, name: str, action: str) -> Iterator[None]:
        """Raise the library's exceptions for boto3's; a missing object is no error."""
        self.validate_client()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
                return
            reason = _reason(error)
            if _is_transient(error):
                raise Unavailable(reason) from error
            raise WorldFault(
                f"the checkpoint {self}/{name} cannot be {action} ({reason}); what was stored before is untouched. "
                "Once this is fixed, `searchlab resume` continues the sweep."
            ) from error


def _endpoint_url() -> str | None:
    """Return the URL of the S3 service that the environment names; None for Amazon's own."""
    named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    parts = urlsplit(named if "://" in named else f"https://{named}")
    host = parts.netloc.rpartition("@")[2]  # credentials in it would be printed with each error
    return f"{parts.scheme}://{host}{parts.path}" if host else None


def _is_transient(error: Any) -> bool:
    """Return whether another attempt may succeed, for an exception of botocore's."""
    from botocore.exceptions import (
        ClientError,
        ConnectionError,
        CredentialRetrievalError,
        HTTPClientError,
        IncompleteReadError,
    )

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        return status >= 500 or error.response["Error"]["Code"] in TRANSIENT_CODES
    return isinstance(error, (ConnectionError, CredentialRetrievalError, HTTPClientError, IncompleteReadError))


def _reason(error: Any) -> str:
    """Return what an exception of botocore's says, in one line."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        parts = (response["Error"].get("Code", ""), response["Error"].get("Message", ""))
        return ": ".join(" ".join(part.split()).rstrip(".") for part in parts if part)
    return " ".join(str(error).split()).rstrip(".")
