"""Where the files of the old system lie: in a folder of this machine, or in a bucket of Cloud Storage.

Both are only read: files are listed, and the few small ones that are needed are read whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import requests

from contracts.tables import MAX_TABLE_BYTES
from mmm.client import innermost_reason, retrying_session
from mmm.errors import MmmError
from mmm.iap import OwnCredentials

STORAGE = "https://storage.googleapis.com"
READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
_ADDRESS = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?", re.DOTALL)
_TIMEOUT_S = 30


class OldFile(NamedTuple):
    """A file, as it is listed."""

    path: str
    """Below the place that is read, with `/` between its parts."""
    bytes: int


class Unreadable(Exception):
    """A file cannot be read; the text says why, to be told after its path."""


class OldFiles(Protocol):
    """A place with files."""

    def listed(self) -> Iterator[OldFile]:
        """Every file at any depth, as far as it is asked."""

    def read(self, file: OldFile) -> bytes:
        """The content of a file.

        Raises:
            Unreadable: it is larger than a table may be, or cannot be opened.
        """


class FolderFiles:
    """The files below a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def listed(self) -> Iterator[OldFile]:
        """Every file, in the order of their paths."""
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                yield OldFile(path.relative_to(self._folder).as_posix(), path.stat().st_size)

    def read(self, file: OldFile) -> bytes:
        """The content of a file.

        Raises:
            Unreadable: it is larger than a table may be, or cannot be opened.
        """
        _check_size(file.bytes)
        try:
            return (self._folder / file.path).read_bytes()
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}") from error


class BucketFiles:
    """The objects below a prefix of a bucket, through Cloud Storage's JSON API.

    Methods raise `MmmError` if Cloud Storage does not answer or refuses; the text says what to do.
    """

    def __init__(self, address: str, emulator: str | None = None) -> None:
        """`address`: `gs://BUCKET` or `gs://BUCKET/PREFIX`. An `emulator` is asked without signing in.

        Raises:
            MmmError: it is no such address.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise MmmError(f"{address} is no address in Cloud Storage, such as gs://BUCKET/PREFIX")
        self._address, self._bucket = address, match[1]
        self._prefix = f"{match[2].rstrip('/')}/" if match[2] else ""
        self._url = (emulator or STORAGE).rstrip("/")
        self._session = retrying_session(None if emulator else OwnCredentials(READ_ONLY), 5)

    def listed(self) -> Iterator[OldFile]:
        """Every object, in the order of their names, a page at a time."""
        query = {"prefix": self._prefix, "fields": "items(name,size),nextPageToken"}
        some = False
        while True:
            page = self._page(query)
            for item in page.get("items", ()):
                some = True
                path = item["name"].removeprefix(self._prefix)
                if path and not path.endswith("/"):  # others stand for folders
                    yield OldFile(path, int(item["size"]))
            if "nextPageToken" not in page:
                break
            query["pageToken"] = page["nextPageToken"]
        if not some:
            raise MmmError(f"nothing lies below {self._address}; see `gcloud storage ls gs://{self._bucket}`")

    def read(self, file: OldFile) -> bytes:
        """The content of an object.

        Raises:
            Unreadable: it is larger than a table may be.
        """
        _check_size(file.bytes)
        path = f"/download/storage/v1/b/{self._bucket}/o/{quote(self._prefix + file.path, safe='')}"
        content = bytearray()
        try:
            with self._session.get(
                f"{self._url}{path}", params={"alt": "media"}, stream=True, timeout=_TIMEOUT_S
            ) as answer:
                self._check(answer, f"{file.path} is no longer in the bucket; run this again")
                for part in answer.iter_content(1 << 16):  # unpacked, it may be larger than it was listed
                    content += part
                    _check_size(len(content))
        except requests.RequestException as error:
            raise self._broken(error) from error
        return bytes(content)

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._session.get(
                f"{self._url}/storage/v1/b/{self._bucket}/o", params=query, timeout=_TIMEOUT_S
            )
            self._check(
                answer, f"there is no bucket {self._bucket}; `gcloud storage ls` lists those there are"
            )
            page: dict[str, Any] = answer.json()
        except requests.RequestException as error:
            raise self._broken(error) from error
        return page

    def _broken(self, error: requests.RequestException) -> MmmError:
        return MmmError(
            f"reading {self._address} from {self._url} did not work: {innermost_reason(error)}\n"
            "Nothing was imported; run it again."
        )

    def _check(self, answer: requests.Response, if_missing: str) -> None:
        if answer.ok:
            return
        advice = {
            401: "Sign in: `gcloud auth application-default login`.",
            403: f"Whoever runs this needs the role Storage Object Viewer on gs://{self._bucket}:\n"
            f"gcloud storage buckets add-iam-policy-binding gs://{self._bucket} "
            "--member=user:ADDRESS --role=roles/storage.objectViewer",
            404: if_missing,
        }.get(answer.status_code, "Nothing was imported.")
        try:
            told = str(answer.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            told = " ".join(answer.text.split())[:300]
        raise MmmError(f"{self._address}: Cloud Storage answers {answer.status_code}: {told}\n{advice}")


def _check_size(size: int) -> None:
    if size > MAX_TABLE_BYTES:
        raise Unreadable(f"is larger than {MAX_TABLE_BYTES >> 20} MiB, which is the most that is read")
