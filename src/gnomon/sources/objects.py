"""Object stores: files by URL, told apart by their etags.

Polars and delta-rs read the data by themselves; what they do not tell, which objects there are and with which etags, is
asked through Arrow's file systems. S3 is tried against a server; `gs://` and `abfs://` go the same way, untested.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as fs

from gnomon.abc.source import Part
from gnomon.errors import DataError, GnomonError, Unavailable
from gnomon.sources.places import Place

_AT_ONCE = 16
"""Requests: each is a question of some milliseconds."""
_ATTEMPTS = 3
_CONNECT, _ANSWER = 5.0, 60.0
"""Seconds."""
_MAGIC = re.compile(r"[*?\[]")
_DENIED = re.compile(
    r"ACCESS_DENIED|AccessDenied|INVALID_ACCESS_KEY|InvalidAccessKeyId|SIGNATURE|Signature|403 Forbidden"
    r"|HTTP status 403|PermissionDenied|Unauthenticated"
)
_ABSENT = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|NO_SUCH_KEY|NoSuchKey|404 Not Found|HTTP status 404")

Answer = TypeVar("Answer")


class ObjectPlace(Place):
    """Objects under a URL. `options`: as Polars and delta-rs take them; what is not given, the environment tells."""

    def __init__(self, name: str, url: str, options: Mapping[str, str]) -> None:
        self.name = name
        self.location = url.rstrip("/")
        self.options = dict(options)
        self.scheme = urlsplit(url).scheme
        self.path = self.location.partition("://")[2]
        self._fetched: dict[str, Path] = {}

    # ---- which objects

    def find(self, endings: tuple[str, ...]) -> list[str]:
        if _MAGIC.search(self.path):
            pattern = re.compile(_regex(self.path))
            return sorted(map(self._url, filter(pattern.fullmatch, self._below(self._folder))))
        (found,) = self._ask(lambda: self._system.get_file_info([self.path]))
        if found.type == fs.FileType.File:
            return [self.location]
        below = [path for path in self._below(self.path) if path.endswith(endings)]
        return sorted(map(self._url, filter(self._is_data, below)))

    def names_in(self, folder: str) -> list[str]:
        chosen = fs.FileSelector(f"{self.path}/{folder}".rstrip("/"), allow_not_found=True)
        return sorted(info.base_name for info in self._ask(lambda: self._system.get_file_info(chosen)))

    def is_there(self) -> bool:
        (found,) = self._ask(lambda: self._system.get_file_info([self._folder.partition("/")[0]]))
        return bool(found.type != fs.FileType.NotFound)

    @property
    def _folder(self) -> str:
        """The folder that holds all that a glob may find."""
        return re.split(_MAGIC, self.path)[0].rpartition("/")[0] if _MAGIC.search(self.path) else self.path

    def _below(self, folder: str) -> list[str]:
        chosen = fs.FileSelector(folder, recursive=True, allow_not_found=True)
        found = self._ask(lambda: self._system.get_file_info(chosen))
        return [info.path for info in found if info.type == fs.FileType.File]

    def _is_data(self, path: str) -> bool:
        parts = path.removeprefix(self.path).strip("/").split("/")
        return not any(part.startswith(("_", ".")) for part in parts)

    def _url(self, path: str) -> str:
        return f"{self.scheme}://{path}"

    # ---- what they are

    def parts(self, files: Sequence[str]) -> tuple[Part, ...]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(self._part, files))

    def _part(self, file: str) -> Part:
        with self._ask(lambda: self._system.open_input_stream(_path(file)), file) as stream:
            told = {name.lower(): value for name, value in (stream.metadata() or {}).items()}
        if "etag" in told:
            return Part(file, told["etag"].decode().strip('"'), size=int(told.get("content-length", -1)))
        (info,) = self._ask(lambda: self._system.get_file_info([_path(file)]), file)
        return Part(file, f"{info.size}-{info.mtime_ns}", size=info.size)

    def local(self, file: str) -> Path:
        """A copy, which goes with this object. Text is looked at before it is read, and may be packed."""
        if file not in self._fetched:
            copy = Path(self._copies.name) / f"{len(self._fetched)}-{file.rpartition('/')[2]}"

            def fetch() -> None:
                with self._system.open_input_stream(_path(file)) as stream, copy.open("wb") as target:
                    while block := stream.read(1 << 22):
                        target.write(block)

            self._ask(fetch, file)
            self._fetched[file] = copy
        return self._fetched[file]

    @cached_property
    def _copies(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix="gnomon-objects-")

    # ---- the store

    def polars_options(self) -> dict[str, str | int]:
        # An endpoint that says http:// means it.
        plain = {"aws_allow_http": "true"} if self._endpoint.startswith("http://") else {}
        return {"max_retries": _ATTEMPTS, **plain, **(self.options or {})}

    def hint(self) -> str:
        return "no object's name begins so; the options of the store are in `[storage]` of gnomon.toml, or options="

    @cached_property
    def _system(self) -> Any:
        if self.scheme not in ("s3", "s3a"):
            return self._ask(lambda: fs.FileSystem.from_uri(self.location)[0])
        given = {
            "access_key": self._option("access_key_id"),
            "secret_key": self._option("secret_access_key"),
            "session_token": self._option("session_token"),
            "region": self._option("region") or self._option("default_region"),
            "endpoint_override": self._endpoint,
        }
        return fs.S3FileSystem(
            **{name: text for name, text in given.items() if text},
            connect_timeout=_CONNECT,
            request_timeout=_ANSWER,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )

    @property
    def _endpoint(self) -> str:
        return self._option("endpoint_url") or self._option("endpoint") or ""

    def _option(self, name: str) -> str | None:
        lowered = {key.lower().removeprefix("aws_"): text for key, text in (self.options or {}).items()}
        return lowered.get(name) or os.environ.get(f"AWS_{name.upper()}")

    def _ask(self, question: Callable[[], Answer], file: str | None = None) -> Answer:
        try:
            return question()
        except (OSError, pa.ArrowException) as error:
            raise self._told(error, file or self.location) from None

    def failure(self, error: Exception) -> GnomonError | None:
        return self._told(error, self.location) if isinstance(error, OSError) else None

    def _told(self, error: Exception, at: str) -> GnomonError:
        reason = str(error)
        first = reason.strip().split("\n", maxsplit=1)[0]
        if isinstance(error, PermissionError) or _DENIED.search(reason):
            return DataError(
                f"source `{self.name}`: the object store refuses to open `{at}`",
                at=at,
                hint="are the key and its secret right? they come from `[storage]` in gnomon.toml, from options= of "
                "the source, or from the environment",
            )
        if isinstance(error, FileNotFoundError) or _ABSENT.search(reason):
            return DataError(
                f"source `{self.name}`: nothing to read at `{at}`",
                at=at,
                hint="is it removed meanwhile, or does the bucket have another name?",
            )
        return Unavailable(
            f"source `{self.name}`: the object store cannot be reached: {first}",
            at=at,
            hint="run it again when it answers; `aws_endpoint_url` tells another one than Amazon's",
        )


def _path(url: str) -> str:
    return url.partition("://")[2]


def _regex(pattern: str) -> str:
    """A glob as a regular expression: `**` stands for any folders, `*` and `?` for what is in one name."""
    pieces = re.split(r"(\*\*/|\*|\?|\[[^\]]*\])", pattern)
    meaning = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        meaning.get(piece) or (piece.replace("[!", "[^") if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )
