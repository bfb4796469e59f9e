"""Contents: what each column of a training set is."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.errors import UsageError, nearest
from gnomon.flows.training import Question


@dataclass(frozen=True)
class LabelColumn:
    """A label: its column is `name`, and `<name>_mature` tells of it."""

    name: str
    span: int
    """Microseconds from t to the end of its window."""
    keys: tuple[str, ...]
    """The columns of the spine that hold its key."""


@dataclass(frozen=True)
class Contents:
    """The columns of a training set, by what they are."""

    timestamp: str
    keys: tuple[str, ...]
    """Columns of the spine that hold keys of features."""
    spine: tuple[str, ...]
    """The columns that were given, keys and time among them."""
    features: tuple[str, ...]
    labels: tuple[LabelColumn, ...]

    def label(self, name: str) -> LabelColumn | None:
        """The label of a name; None for a column of the spine, which may be one too.

        Raises: UsageError for a feature, and for what is not there.
        """
        for label in self.labels:
            if label.name == name:
                return label
        if name in self.spine:
            return None
        known = [*(label.name for label in self.labels), *self.spine]
        if name in self.features:
            raise UsageError(
                f"`{name}` is a feature",
                hint=f"a label looks forward, or comes with the spine: {', '.join(known)}",
            )
        close = nearest(name, known)
        raise UsageError(
            f"the training set has no label `{name}`",
            hint=f"did you mean `{close}`?"
            if close
            else f"labels and columns of the spine: {', '.join(known)}",
        )


def contents_of(question: Question) -> Contents:
    """The columns of the training set that a question makes."""
    request = question.request
    named = list(zip(request.columns, question.names, strict=True))
    spans = {
        ident: (output.window, job.key_columns)
        for job in request.jobs
        if job.layout.forward
        for ident, output in zip(job.idents, job.outputs, strict=True)
    }
    return Contents(
        timestamp=question.timestamp,
        keys=tuple(request.key_columns),
        spine=tuple(question.spine.columns),
        features=tuple(name for column, name in named if column.part == "feature"),
        labels=tuple(LabelColumn(n, *spans[c.ident]) for c, n in named if c.part == "label"),
    )
