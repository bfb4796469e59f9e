"""Delta tables through delta-rs: ACID appends and time travel; every other tool can read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

import polars as pl
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from gnomon.abc.offline import NO_TABLE, Committed, OfflineStore
from gnomon.abc.source import Part
from gnomon.errors import Conflict, Gone, NotFound, Unavailable, UsageError, counted
from gnomon.offline import rewrite
from gnomon.offline.opened import Opened
from gnomon.offline.places import LOG, Folder, Place
from gnomon.offline.storable import restore, storable, store
from gnomon.types import DType, as_dtype

T = TypeVar("T")

_NOTE = "gnomon."
"""Before the names of notes, which stand in the log among others' entries."""
_NOTES = "_notes"
"""The folder beside the tables where notes of whole tables lie."""
_EMPTIED = "emptied"
"""The note of a commit that took all rows out."""
_SAFE = re.compile(r"[A-Za-z0-9_@\-]+")
# LZ4 costs some more bytes than Zstandard and is read at twice the speed.
_WRITER = WriterProperties(compression="LZ4_RAW", max_row_group_size=1 << 18)
# The log is kept for ever: whoever asks for a version of last year needs its commits.
_HOOKS = PostCommitHookProperties(cleanup_expired_logs=False)
_HOUR = 3_600_000_000
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class DeltaStore(OfflineStore):
    """Tables as folders of a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._opened = Opened()

    @classmethod
    def from_url(cls, url: str, *, root: Path, options: Mapping[str, str] | None = None) -> Self:
        """Raises: UsageError for options, of which a folder has none."""
        if options:
            raise UsageError(
                f"a folder has no option `{next(iter(options))}`",
                at="offline.options",
                hint="options are for object stores: `s3://bucket/prefix`",
            )
        path = url.removeprefix("delta://").removeprefix("file://")
        return cls(Folder(root / path))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r})"

    # ---- reading

    def version(self, table: str) -> int | None:
        opened = self._open(table)
        return None if opened is None else int(opened.version())

    def history(self, table: str) -> tuple[Committed, ...]:
        opened = self._open(table)
        if opened is None:
            return ()
        commits = []
        with self._reaching(table, "read"):
            entries = opened.history()
        for entry in reversed(entries):
            metrics: dict[str, Any] = entry.get("operationMetrics", {})
            notes = {k.removeprefix(_NOTE): str(v) for k, v in entry.items() if k.startswith(_NOTE)}
            commits.append(
                Committed(
                    version=int(entry["version"]),
                    rows=int(metrics.get("num_added_rows", 0)),
                    time=int(entry["timestamp"]) * 1000,
                    note=notes,
                )
            )
        return tuple(commits)

    def schema(self, table: str) -> dict[str, DType]:
        opened = self._open(table)
        return {} if opened is None else _types(opened)

    def parts(self, table: str, version: int | None = None) -> tuple[Part, ...]:
        opened = self._open(table, version)
        return () if opened is None else self._parts(table, opened)

    def _parts(self, table: str, opened: DeltaTable) -> tuple[Part, ...]:
        actions = pl.DataFrame(opened.get_add_actions(flatten=True)).to_dicts()
        files = ((row["path"], row.get("num_records"), row["size_bytes"]) for row in actions)
        return tuple(
            sorted(
                Part(self.place.file(table, path), path, -1 if rows is None else rows, size)
                for path, rows, size in files
            )
        )

    def added(self, table: str, version: int) -> tuple[Part, ...]:
        # A commit's own file tells it, however many the table has.
        with self._reaching(table, "read"):
            text = self.place.read(f"{self._named(table)}/{LOG}/{version:020d}.json")
        if text is None:
            return super().added(table, version)
        told = (json.loads(line).get("add") for line in text.splitlines() if line)
        return tuple(
            sorted(
                Part(self.place.file(table, add["path"]), add["path"], _records(add), add["size"])
                for add in told
                if add is not None
            )
        )

    def origins(self, table: str, part: Part) -> tuple[Part, ...]:
        if not rewrite.is_rewritten(part.etag):
            return ()
        self._check_present(table, [part])
        with self._reaching(table, "read"):
            names = rewrite.origins(part.name, self._options())
        return tuple(Part(self.place.file(table, name), name) for name in names)

    def present(self, table: str, parts: Sequence[Part]) -> tuple[Part, ...]:
        with self._reaching(table, "read"):
            sizes = self.place.sizes(table, [part.etag for part in parts])
        return tuple(part for part in parts if part.etag in sizes)

    def scan(
        self,
        table: str,
        columns: Mapping[str, DType],
        *,
        parts: Sequence[Part] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        chosen = self.parts(table, version) if parts is None else parts
        if not chosen:
            return pl.LazyFrame(schema=dict(columns))
        self._check_present(table, chosen)
        stored = {name: storable(dtype) for name, dtype in columns.items()}
        frame = self._scan_files(chosen, stored)
        return frame.select(restore(pl.col(n), d).alias(n) for n, d in columns.items())

    def _scan_files(self, parts: Sequence[Part], stored: Mapping[str, DType]) -> pl.LazyFrame:
        return pl.scan_parquet(
            [part.name for part in parts],
            schema=dict(stored),
            missing_columns="insert",
            extra_columns="ignore",
            glob=False,
            storage_options=self._options(),
        )

    def _check_present(self, table: str, parts: Sequence[Part]) -> None:
        """Polars would tell of a missing file only while it reads, and of no table."""
        there = {part.name for part in self.present(table, parts)}
        missing = [part.name for part in parts if part.name not in there]
        if missing:
            raise Gone(
                f"the table `{table}` lacks {counted(len(missing), 'file')}",
                at=missing[0],
                hint="perhaps a vacuum removed them: bring them back from a copy, or insert the rows again",
            )

    # ---- writing

    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        plain = frame.select(store(pl.col(n), d).alias(n) for n, d in frame.schema.items())
        opened = self._open(table) if after is None else self._at(table, after)
        if opened is None and after is None:
            # Two that make a table at once do not merge as appends do.
            try:
                return self._write(table, None, plain, note, exactly=True)
            except Conflict:
                opened = self._open(table)
        return self._write(table, opened, plain, note, exactly=after is not None)

    def empty(
        self, table: str, columns: Mapping[str, DType], *, note: Mapping[str, str] | None = None, after: int
    ) -> int:
        opened = self._at(table, after)
        if opened is None:
            raise NotFound(f"there is no table `{table}` to empty")
        nothing = pl.DataFrame(schema={name: storable(dtype) for name, dtype in columns.items()})
        return self._write(
            table, opened, nothing, {**(note or {}), _EMPTIED: str(after)}, exactly=True, over=True
        )

    def change(self, table: str, step: Callable[[int], T]) -> T:
        with self.place.queue(self._named(table)):
            return super().change(table, step)

    def _at(self, table: str, version: int) -> DeltaTable | None:
        """The table as it is now. Raises: Conflict if that is not this version."""
        opened = self._open(table)
        found = NO_TABLE if opened is None else int(opened.version())
        if found != version:
            raise _conflict(table, version)
        return opened

    def _write(
        self,
        table: str,
        opened: DeltaTable | None,
        plain: pl.DataFrame,
        note: Mapping[str, str] | None,
        *,
        exactly: bool,
        over: bool = False,
    ) -> int:
        """Commit rows, beside those that are there or in their place. `exactly`: as the next version, or not at all."""
        base = NO_TABLE if opened is None else int(opened.version())
        try:
            write_deltalake(
                self.place.uri(self._named(table)) if opened is None else opened,
                plain,
                mode="error" if opened is None else "overwrite" if over else "append",
                schema_mode=None if opened is None else "overwrite" if over else "merge",
                writer_properties=_WRITER,
                commit_properties=_properties(note, exactly=exactly),
                post_commithook_properties=_HOOKS,
                storage_options=self._options(),
            )
        except (DeltaError, OSError) as error:
            self._opened.forget(table)
            if exactly and self._moved(table, base):
                raise _conflict(table, base) from None
            self._fail(table, "written", error)
        return 0 if opened is None else int(opened.version())

    def _moved(self, table: str, base: int) -> bool:
        return (self.version(table) or 0) > base if base != NO_TABLE else self.version(table) is not None

    # ---- keeping

    def rewrite(self, table: str, by: Sequence[str], *, note: Mapping[str, str] | None = None) -> int | None:
        opened = self._open(table)
        if opened is None:
            return None
        parts = self._parts(table, opened)
        if len(parts) == 0 or all(rewrite.is_rewritten(part.etag) for part in parts):
            return None
        leaves = sorted({leaf.etag for part in parts for leaf in self.origins(table, part) or (part,)})
        stored = _types(opened)
        self._check_present(table, parts)
        with self._reaching(table, "rewritten"):
            written = rewrite.write_sorted(
                self._scan_files(parts, stored),
                by,
                leaves,
                lambda n: self.place.file(table, n),
                self._options(),
            )
            sizes = self.place.sizes(table, [name for name, _ in written])
        actions = rewrite.actions(parts, [(name, rows, sizes[name]) for name, rows in written])

        def commit(base: int) -> int | None:
            now = self._at(table, base)
            if now is None or not set(parts) <= set(self._parts(table, now)):
                return None
            try:
                now.create_write_transaction(
                    actions,
                    mode="append",
                    schema=now.schema(),
                    commit_properties=_properties(note, exactly=True),
                    post_commithook_properties=_HOOKS,
                )
            except CommitFailedError as error:
                self._opened.forget(table)
                if self._moved(table, base):
                    raise _conflict(table, base) from None
                self._fail(table, "written", error)
            return base + 1

        version = self.change(table, commit)
        if version is None:
            self.remove(table, sizes)
            raise Conflict(
                f"the files of the table `{table}` were replaced while they were being rewritten",
                hint="another process has rewritten or emptied it: look whether there is still something to do",
            )
        return version

    def unneeded(self, table: str, *, age: int, keep: Collection[str] = ()) -> dict[str, int]:
        opened = self._open(table)
        if opened is None:
            return {}
        # Before it was emptied, a table held the rows of a group that was removed: nobody said to lose those.
        set_aside = [int(c.note[_EMPTIED]) for c in self.history(table) if _EMPTIED in c.note]
        with self._reaching(table, "read"):
            files = opened.vacuum(
                retention_hours=-(-age // _HOUR),
                dry_run=True,
                full=True,
                enforce_retention_duration=False,
                keep_versions=set_aside or None,
            )
            return self.place.sizes(table, sorted(set(files) - set(keep)))

    def remove(self, table: str, files: Collection[str]) -> None:
        with self._reaching(table, "vacuumed"):
            self.place.remove(self._named(table), files)

    # ---- notes

    def write_note(self, name: str, text: str | None) -> None:
        with self._reaching("", "noted"):
            if text is None:
                self.place.remove(_NOTES, [self._named(name)])
            else:
                self.place.write(f"{_NOTES}/{self._named(name)}", text)

    def notes(self, prefix: str = "") -> dict[str, str]:
        with self._reaching("", "read"):
            names = sorted(name for name in self.place.files(_NOTES) if name.startswith(prefix))
            found = ((name, self.place.read(f"{_NOTES}/{name}")) for name in names if _SAFE.fullmatch(name))
            return {name: text for name, text in found if text is not None}

    # ---- whole tables

    def tables(self) -> list[str]:
        with self._reaching("", "listed"):
            return self.place.tables()

    def drop(self, table: str) -> None:
        with self._reaching(table, "removed"):
            self.place.drop(self._named(table))

    # ---- what these share

    def _named(self, table: str) -> str:
        if not _SAFE.fullmatch(table):
            raise UsageError(f"`{table}` cannot be a table's name")
        return table

    def _options(self) -> dict[str, str] | None:
        return dict(self.place.options) or None

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        try:
            stamp = self.place.stamp(self._named(table)) if version is None else None
            opened = self._opened.find(table, stamp) if version is None else None
            if opened is not None:
                return opened
            opened = DeltaTable(self.place.uri(self._named(table)), storage_options=self._options())
            self._opened.keep(table, stamp, opened)
            if version is not None:
                newest = int(opened.version())
                if not 0 <= version <= newest:
                    raise NotFound(
                        f"the table `{table}` has no version {version}", hint=f"its newest is {newest}"
                    )
                opened.load_as_version(version)
            return opened
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            self._fail(table, "read", error, hint=self.place.unreadable)

    @contextmanager
    def _reaching(self, table: str, done: str) -> Iterator[None]:
        """Say of which table it was what a place or a library fails with."""
        try:
            yield
        except (DeltaError, OSError, pl.exceptions.ComputeError) as error:
            self._fail(table, done, error)

    def _fail(self, table: str, done: str, error: Exception, *, hint: str | None = None) -> NoReturn:
        what = f"the table `{table}`" if table else "the tables"
        raise Unavailable(
            f"{what} cannot be {done}: {_first_words(error)}",
            at=self.place.uri(table).rstrip("/"),
            hint=hint or self.place.hint,
        ) from None


def _records(add: Mapping[str, Any]) -> int:
    """How many rows an added file has; -1 if its statistics do not tell."""
    return int(json.loads(add.get("stats") or "{}").get("numRecords", -1))


def _types(opened: DeltaTable) -> dict[str, DType]:
    empty = pl.DataFrame(opened.schema().to_arrow().empty_table())
    return {name: as_dtype(dtype) for name, dtype in empty.schema.items()}


def _properties(note: Mapping[str, str] | None, *, exactly: bool) -> CommitProperties:
    """`exactly`: as the version after the one that was opened, or not at all."""
    notes = {_NOTE + name: value for name, value in (note or {}).items()}
    return CommitProperties(custom_metadata=notes, max_commit_retries=0 if exactly else None)


def _conflict(table: str, version: int) -> Conflict:
    return Conflict(
        f"the table `{table}` is not at version {version} any more"
        if version != NO_TABLE
        else f"the table `{table}` has been made by somebody else",
        hint="look at what was written, and try again",
    )


def _first_words(error: Exception) -> str:
    """The library's reasons, which it draws as a tree in colours, on one line."""
    text = _COLOUR.sub("", str(error)).replace("↳", "")
    return ": ".join(line.strip() for line in text.splitlines() if line.strip())[:400]
