"""Delta tables in the buckets of object stores: S3 and what speaks as it does, Google's and Azure's.

Nothing there can be renamed or locked. What can be had is a put that fails where an object is already, and a commit
of Delta is one: so the log decides who of two writers came first, and the other looks again (`OfflineStore.change`).
A store that ignores `If-None-Match` would lose commits, and cannot be used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import polars as pl
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector, FileType

from gnomon.errors import UsageError
from gnomon.offline.delta import DeltaStore
from gnomon.offline.places import LOG, Place

_URL = re.compile(r"([a-z][a-z0-9]*)://([^/?#]+)((?:/[^?#]*)?)")
_PLAIN = ("endpoint", "endpoint_url", "aws_endpoint", "aws_endpoint_url")
"""Options and variables, whatever their case, that may name a server without TLS: one of tests, or a private one."""


class BucketStore(DeltaStore):
    """`s3://bucket/prefix`, `gs://…`, `abfs://…`."""

    @classmethod
    def from_url(cls, url: str, *, root: Path, options: Mapping[str, str] | None = None) -> Self:
        """`root` is not used: a bucket lies in no folder.

        Raises: UsageError if the URL names no bucket, or carries more than a bucket and a prefix.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise UsageError(
                "the URL of the offline store names no bucket",
                at="offline.url",
                hint="such as `s3://bucket/prefix`; what reaches it stands in [offline.options], or in the environment",
            )
        scheme, bucket, prefix = match.groups()
        return cls(Bucket(f"{scheme}://{bucket}{prefix.rstrip('/')}", options or {}))


class Bucket(Place):
    """The objects under a prefix. `options`: object_store's, over those that the environment tells."""

    hint = "is the store there, is the bucket's name right, and may these credentials write there?"
    unreadable = "is the store there, is the bucket's name right, and may these credentials read there?"

    def __init__(self, base: str, options: Mapping[str, str]) -> None:
        self.base = base
        self.options = _with_plain_http({name.lower(): value for name, value in options.items()})

    def __repr__(self) -> str:
        return repr(self.base)

    def uri(self, table: str) -> str:
        return f"{self.base}/{table}"

    def queue(self, table: str) -> AbstractContextManager[None]:
        # A lock would have to time out, and one that does keeps nobody from writing late: the commit must decide
        # anyway.
        return nullcontext()

    def tables(self) -> list[str]:
        folders = (i.base_name for i in self._list("", recursive=False) if i.type == FileType.Directory)
        return sorted(name for name in folders if self.holds(name))

    def holds(self, table: str) -> bool:
        # Some stores go on listing folders whose last object has gone.
        return any(i.path.endswith(".json") for i in self._list(f"{table}/{LOG}", recursive=False))

    def files(self, table: str) -> set[str]:
        return {i.base_name for i in self._list(table, recursive=False) if i.type == FileType.File}

    def sizes(self, table: str, files: Iterable[str]) -> dict[str, int]:
        wanted = [f"{table}/{name}" for name in files]
        found = self._handler().get_file_info(wanted) if wanted else []
        return {i.base_name: i.size for i in found if i.type == FileType.File}

    def remove(self, table: str, files: Iterable[str]) -> None:
        handler = self._handler()
        for name in files:
            handler.delete_file(f"{table}/{name}")

    def write(self, path: str, text: str) -> None:
        # By Polars, as a line of JSON: what the handler opens for writing takes no bytes from pyarrow.
        pl.LazyFrame({"text": [text]}).sink_ndjson(f"{self.base}/{path}", storage_options=dict(self.options))

    def read(self, path: str) -> str | None:
        handler = self._handler()
        if handler.get_file_info([path])[0].type != FileType.File:
            return None
        held = pl.scan_ndjson(
            f"{self.base}/{path}", schema={"text": pl.String()}, storage_options=dict(self.options)
        )
        text: str = held.collect().item()
        return text

    def drop(self, table: str) -> None:
        handler = self._handler()
        objects = [i.path for i in self._list(table, recursive=True) if i.type == FileType.File]
        # The log's first, from its end, so that a drop that is killed leaves an older version, or no table.
        for path in sorted(objects, key=lambda path: (f"/{LOG}/" in path, path), reverse=True):
            handler.delete_file(path)

    def _list(self, folder: str, *, recursive: bool) -> list[Any]:
        selector = FileSelector(folder, recursive=recursive, allow_not_found=True)
        found: list[Any] = self._handler().get_file_info_selector(selector)
        return found

    def _handler(self) -> DeltaStorageHandler:
        # Made for each use: one that is kept holds connections, which a fork would share.
        return DeltaStorageHandler(self.base, dict(self.options))


def _with_plain_http(options: dict[str, str]) -> dict[str, str]:
    """The options, with leave to do without TLS where the endpoint is named so."""
    told = {name.lower(): value for name, value in os.environ.items()} | options
    if any(told.get(name, "").startswith("http://") for name in _PLAIN):
        return {"allow_http": "true"} | options
    return options
