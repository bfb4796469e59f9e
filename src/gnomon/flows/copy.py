"""Copy: the rows of a cached group → rows of another, such as its next version, with columns made anew."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from gnomon.define import expressions
from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, DefinitionError, UsageError, not_found
from gnomon.flows.insert import Commit, insert
from gnomon.flows.optimize import check_cached
from gnomon.flows.project import Project
from gnomon.flows.read import collect_rows
from gnomon.flows.retractions import carry_retractions, log_name
from gnomon.flows.table import declared_columns
from gnomon.plan.layout import Layout


def copy(
    project: Project,
    source: FeatureGroup,
    target: FeatureGroup,
    layout: Layout,
    columns: Mapping[str, str] | None = None,
) -> Commit:
    """Insert the rows of `source` into `target`, in one commit. Doing it again adds what is new since.

    `columns`: a row expression over the columns of `source` for columns of `target`; others are those of the same name,
    or null where there is none. What is retracted of `source` is so of `target`.

    Raises: UsageError for groups with a source, for rows that updates or deletes have replaced, and where ids are
            retracted that `target` does not have; DataError for an expression that does not fit; what `insert`
            raises. Nothing is written then.
    """
    for group in (source, target):
        check_cached(group)
    if source.ref == target.ref:
        raise UsageError(f"`{source.ref}` cannot be copied into itself", hint="name its next version")
    reader = project.reader(source)
    if reader.changes():
        raise UsageError(
            f"`{source.ref}` has updates or deletes, whose times a copy would not keep",
            hint="insert the rows of their origin into the new group",
        )
    held, wanted = declared_columns(source), declared_columns(target)
    made = _expressions(source, target, columns or {})
    rows = reader.scan(list(held)).select(
        made[name] if name in made else pl.col(name) if name in held else pl.lit(None, dtype).alias(name)
        for name, dtype in wanted.items()
    )
    found = collect_rows(rows, source.ref)
    if project.offline.version(log_name(source)) is not None:
        if target.event_id is None or target.event_id != source.event_id or target.event_id in made:
            raise UsageError(
                f"ids of `{source.ref}` are retracted, and `{target.ref}` has not the same ids",
                hint=f'declare event_id="{source.event_id}" in it, and copy the column as it is',
            )
        # First, so that no reader sees the rows without it.
        carry_retractions(project.offline, source, target, project.author)
    return insert(project, target, layout, found)


def _expressions(
    source: FeatureGroup, target: FeatureGroup, columns: Mapping[str, str]
) -> dict[str, pl.Expr]:
    """The columns that are computed. Raises: NotFound for what `target` has not; DataError."""
    held, wanted = declared_columns(source), declared_columns(target)
    made = {}
    for name, text in columns.items():
        if name not in wanted:
            raise not_found(f"column of `{target.ref}`", name, list(wanted))
        try:
            found = expressions.dtype_of(text, held)
        except DefinitionError as error:
            raise DataError(f"column `{name}` of `{target.ref}`: {error.what}", hint=error.hint) from None
        expr, dtype = expressions.typed(text, expressions.columns_read(text, held)), wanted[name]
        # Expressions compute in the widest type; a value that does not fit the column's fails.
        narrower = (found.is_integer() and dtype.is_integer()) or (found.is_float() and dtype.is_float())
        made[name] = (expr.cast(dtype) if narrower else expr).alias(name)
    return made
