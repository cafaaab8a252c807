"""The object store: one bucket of Cloud Storage. Every write names the generation that it expects."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import BinaryIO, cast
from urllib.parse import quote

import google.cloud.storage as storage
import requests
from google.api_core import exceptions as api
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.fileio import BlobWriter

from functions.adapters.gcp.errors import STORAGE_RETRY, TIMEOUT_S, calling, status_of, told
from functions.adapters.gcp.frozen import FrozenObject
from functions.adapters.gcp.signer import ADVICE, Signer
from functions.ports import AlreadyExists, Conflict, NotFound, ObjectInfo, UploadForm

log = logging.getLogger(__name__)

_CHUNK = 8 * 1024 * 1024  # of an upload; a multiple of 256 KiB
_COPY_TIMEOUT_S = 120.0
_ANY_TYPE = "application/octet-stream"
_LISTED = "items(name,generation,size,crc32c,updated,metadata),nextPageToken"
_OPTIONS = {"retry": STORAGE_RETRY, "timeout": TIMEOUT_S}
_CHANGED = 412
"""HTTP status of a write whose precondition does not hold."""


class CloudStorageObjectStore:
    """Implements `functions.ports.ObjectStore`.

    Content is read as it is stored, to which size and checksum belong: an object that was uploaded with
    `Content-Encoding: gzip` is a gzip file here.

    A request whose answer was lost is sent again and may meet its own work: `AlreadyExists` or `Conflict`
    means that somebody wrote first, and that may have been this very call.
    """

    def __init__(self, project: str, bucket: str) -> None:
        self._project = project
        self._name = bucket
        self._signer = Signer()

    @cached_property
    def _bucket(self) -> storage.Bucket:
        with calling("connecting to Cloud Storage"):
            return storage.Client(project=self._project).bucket(self._name)

    def create(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Create an object.

        Raises:
            AlreadyExists: an object of that name exists.
        """
        return self._upload(name, data, metadata or {}, if_generation=0)

    def replace(self, name: str, data: bytes, if_generation: int | None) -> ObjectInfo:
        """Write an object over the given generation (0: none may exist; None: whatever is there).

        Raises:
            Conflict: another generation is there.
        """
        return self._upload(name, data, {}, if_generation)

    def _upload(
        self, name: str, data: bytes, metadata: Mapping[str, str], if_generation: int | None
    ) -> ObjectInfo:
        blob = self._blob(name, metadata)
        with calling(f"writing '{name}'"), _unless_changed(name, if_generation):
            blob.upload_from_string(data, _ANY_TYPE, if_generation_match=if_generation, **_OPTIONS)
        return _info(blob)

    @contextmanager
    def writer(self, name: str, metadata: Mapping[str, str] | None = None) -> Iterator[BlobWriter]:
        """Stream a new object. It is created when the block ends well, and not at all if it raises.

        Raises:
            AlreadyExists: when the block ends, or once so much is written that it must be sent, if an object
                of that name exists.
        """
        upload = _Upload(
            self._blob(name, metadata or {}),
            chunk_size=_CHUNK,
            ignore_flush=True,
            content_type=_ANY_TYPE,
            if_generation_match=0,
            **_OPTIONS,
        )
        with calling(f"writing '{name}'"), _unless_changed(name, 0):
            try:
                yield upload
                upload.close()
            except BaseException:
                upload.terminate()  # left alone, it would finish itself when it is forgotten
                raise

    def copy(self, source: str, target: str, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Create an object with the content of another, and its metadata unless some are given.

        Raises:
            AlreadyExists: the target exists.
            NotFound: the source does not.
        """
        original = self._existing(source)
        blob = self._blob(target, original.metadata or {} if metadata is None else metadata)
        blob.content_type = original.content_type
        with calling(f"copying '{source}' to '{target}'"), _unless_changed(target, 0):
            try:
                token: str | None = None
                while True:
                    token, _, _ = blob.rewrite(
                        original, token, if_generation_match=0, retry=STORAGE_RETRY, timeout=_COPY_TIMEOUT_S
                    )
                    if token is None:
                        return _info(blob)
            except api.NotFound as error:  # it was removed or replaced a moment ago
                raise _missing(source, original.generation) from error

    def delete(self, name: str, generation: int) -> None:
        """Delete an object, unless another generation is there; no error if there is none any more.

        Raises:
            Conflict: another generation is there.
        """
        with calling(f"deleting '{name}'"), _unless_changed(name, generation), suppress(api.NotFound):
            self._bucket.blob(name).delete(if_generation_match=generation, **_OPTIONS)

    def stat(self, name: str) -> ObjectInfo | None:
        """What is known of the newest generation; None if there is no such object."""
        with calling(f"looking at '{name}'"):
            blob = self._bucket.get_blob(name, **_OPTIONS)
        return _info(blob) if blob else None

    def read(self, name: str, generation: int | None = None) -> bytes:
        """The whole content.

        Raises:
            NotFound: no such object, or that generation is no longer the newest.
        """
        with calling(f"reading '{name}'"):
            try:
                return cast(
                    bytes,
                    self._bucket.blob(name).download_as_bytes(
                        if_generation_match=generation, raw_download=True, **_OPTIONS
                    ),
                )
            except (api.NotFound, api.PreconditionFailed) as error:
                raise _missing(name, generation) from error

    @contextmanager
    def reader(self, name: str, generation: int | None = None) -> Iterator[BinaryIO]:
        """The content as a seekable stream of one generation, read ahead by some megabytes.

        If somebody replaces the object meanwhile, what is not read yet is gone: `Unavailable` is raised.

        Raises:
            NotFound: no such object, or that generation is no longer the newest.
        """
        blob = self._existing(name)
        if generation not in (None, blob.generation):
            raise _missing(name, generation)
        with calling(f"reading '{name}'"), io.BufferedReader(FrozenObject(blob)) as content:
            yield content

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose name starts so, sorted by name, a page at a time."""
        with calling(f"listing '{prefix}'"):
            for blob in self._bucket.list_blobs(prefix=prefix, fields=_LISTED, **_OPTIONS):
                yield _info(blob)

    def link(self, name: str, minutes: int) -> str | None:
        """An address where anybody who has it may download the newest generation, for a limited time.

        Google signs it (IAM signBlob) for the service account that this program runs as. None if it does not;
        why is logged as a warning.
        """
        file = quote(name.rsplit("/", 1)[-1], safe="")
        try:
            address = self._bucket.blob(name).generate_signed_url(
                version="v4",
                expiration=timedelta(minutes=minutes),
                response_disposition=f"attachment; filename*=UTF-8''{file}",
                credentials=self._signer.credentials(),
            )
        except GoogleAuthError as error:
            log.warning("no signed link to '%s', so it is passed on: %s; %s", name, error, ADVICE)
            return None
        return cast(str, address)

    def upload_form(self, name: str, max_bytes: int, minutes: int, then: str) -> UploadForm | None:
        """A form with which anybody who has it may write the object, for a limited time; then on to `then`.

        Signed as a link is: see `link`.
        """
        try:
            policy = self._bucket.client.generate_signed_post_policy_v4(
                self._name,
                name,
                timedelta(minutes=minutes),
                conditions=[["content-length-range", 0, max_bytes]],
                fields={"success_action_redirect": then, "content-type": _ANY_TYPE},
                credentials=self._signer.credentials(),
            )
        except GoogleAuthError as error:
            log.warning("no signed form for '%s', so the page receives it: %s; %s", name, error, ADVICE)
            return None
        return UploadForm(policy["url"], policy["fields"])

    def _blob(self, name: str, metadata: Mapping[str, str]) -> storage.Blob:
        blob = self._bucket.blob(name)
        blob.metadata = dict(metadata)
        return blob

    def _existing(self, name: str) -> storage.Blob:
        with calling(f"looking at '{name}'"):
            blob = self._bucket.get_blob(name, **_OPTIONS)
        if blob is None:
            raise _missing(name, None)
        return blob


class _Upload(BlobWriter):  # type: ignore[misc]
    """`BlobWriter` cancels at the address where uploads start, which does nothing; this one at its own."""

    def terminate(self) -> None:
        """Cancel what was sent. If that fails, the store forgets it after a week."""
        try:
            if self._upload_and_transport:
                upload, transport = self._upload_and_transport
                transport.delete(upload.resumable_url, timeout=TIMEOUT_S)
        except (requests.RequestException, GoogleAuthError) as error:
            log.warning("the upload of '%s' could not be cancelled: %s", self._blob.name, told(error))
        self._buffer.close()


@contextmanager
def _unless_changed(name: str, if_generation: int | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if status_of(error) != _CHANGED:
            raise
        if if_generation == 0:
            raise AlreadyExists(f"'{name}' exists") from error
        raise Conflict(f"'{name}' is not at generation {if_generation}") from error


def _missing(name: str, generation: int | None) -> NotFound:
    wanted = f"'{name}'" if generation is None else f"'{name}' of generation {generation}"
    return NotFound(f"there is no object {wanted}")


def _info(blob: storage.Blob) -> ObjectInfo:
    return ObjectInfo(
        name=blob.name,
        generation=int(blob.generation),
        size=int(blob.size),
        crc32c=blob.crc32c,
        updated=blob.updated,
        metadata=dict(blob.metadata or {}),
    )
