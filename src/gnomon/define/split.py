"""Splits: how the rows of a training set fall into parts. Values that can be written down and done again.

Which part a row falls into depends on the row, or on the set of rows, and never on their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gnomon.define.aggregate import Given
from gnomon.define.base import Definition, Problems, pairs, put
from gnomon.errors import UsageError, nearest, type_of
from gnomon.time import argument, duration

Shares = tuple[tuple[str, float], ...]

_TRAIN_AND_TEST: Shares = (("train", 0.8), ("test", 0.2))


@dataclass(frozen=True, repr=False)
class TimeSplit(Definition):
    """`train` before `test` in time, with a gap: what a model will meet.

    `train` has the rows before `test_from` − `gap`, `test` those from `test_from` on. With `validate_from`,
    `validation` lies between them, with the same gap on both sides. The gap keeps the windows of labels in `train`
    from reaching into `test`; without one given, it is as long as the longest label.
    """

    test_from: Any
    """Microseconds; given as a time."""
    validate_from: Any = None
    gap: Given | int | None = None
    """Microseconds; None: the longest label's window."""

    def __post_init__(self) -> None:
        problems = Problems("gn.TimeSplit()")
        test = problems.attempt(argument, self.test_from, "test_from", at="test_from")
        validate = None
        if self.validate_from is not None:
            validate = problems.attempt(argument, self.validate_from, "validate_from", at="validate_from")
        if test is not None and validate is not None and validate >= test:
            problems.add("`validate_from` must be before `test_from`", at="validate_from")
        put(self, test_from=test, validate_from=validate, gap=_gap(self.gap, problems))
        problems.done()


@dataclass(frozen=True, repr=False)
class WalkForward(Definition):
    """Several splits by time, each trained on all that came before: `train_1`, `test_1`, `train_2`, …

    The tests are stretches of equal length from `test_from` (by default after the first of folds + 1 such stretches)
    to the last row; before each lies the gap, as in `TimeSplit`.
    """

    folds: int
    test_from: Any = None
    gap: Given | int | None = None

    def __post_init__(self) -> None:
        problems = Problems("gn.WalkForward()")
        if not isinstance(self.folds, int) or isinstance(self.folds, bool) or self.folds < 1:
            problems.add(f"`folds` must be a whole number of at least 1, found {self.folds!r}", at="folds")
        test = None
        if self.test_from is not None:
            test = problems.attempt(argument, self.test_from, "test_from", at="test_from")
        put(self, test_from=test, gap=_gap(self.gap, problems))
        problems.done()


@dataclass(frozen=True, repr=False)
class EntitySplit(Definition):
    """All rows of a key fall into one part, by a hash of the key: no key is in two.

    `keys`: columns; none means all key columns of the features. `shares` are those of the keys, about; the parts of
    keys that are there do not change when others come. Another `seed` gives other parts.
    """

    keys: str | Sequence[str] = ()
    shares: Any = _TRAIN_AND_TEST
    """Name → share, in their order; given as a dict."""
    seed: int = 0

    def __post_init__(self) -> None:
        problems = Problems("gn.EntitySplit()")
        keys = (self.keys,) if isinstance(self.keys, str) else self.keys
        if not isinstance(keys, list | tuple) or not all(isinstance(name, str) for name in keys):
            problems.add(f"`keys` must be names of columns, found {self.keys!r}", at="keys")
            keys = ()
        put(self, keys=tuple(keys), shares=_shares(self.shares, problems), seed=_seed(self.seed, problems))
        problems.done()


@dataclass(frozen=True, repr=False)
class RandomSplit(Definition):
    """Each row falls into a part by a hash of its own columns (those of the spine); equal rows fall together.

    `stratify`: a column whose values shall be shared out alike: within each of them the rows are cut, in the order
    of their hashes, so that each part has its share to the row. Without it, `shares` are met about.
    """

    shares: Any = _TRAIN_AND_TEST
    """Name → share, in their order; given as a dict."""
    seed: int = 0
    stratify: str | None = None

    def __post_init__(self) -> None:
        problems = Problems("gn.RandomSplit()")
        if self.stratify is not None and not isinstance(self.stratify, str):
            problems.add(f"`stratify` must name a column, found {self.stratify!r}", at="stratify")
        put(self, shares=_shares(self.shares, problems), seed=_seed(self.seed, problems))
        problems.done()


Splitting = TimeSplit | WalkForward | EntitySplit | RandomSplit

_KINDS: dict[str, type[Splitting]] = {
    "time": TimeSplit, "folds": WalkForward, "entity": EntitySplit, "random": RandomSplit,
}  # fmt: skip
"""By the name in documents and on the command line."""


def _gap(value: Any, problems: Problems) -> int | None:
    if value is None:
        return None
    gap: int | None = problems.attempt(duration, value, at="gap")
    if gap is not None and gap < 0:
        problems.add("`gap` cannot be negative", at="gap")
    return gap


def _seed(value: Any, problems: Problems) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        problems.add(f"`seed` must be a whole number from 0 on, found {value!r}", at="seed")
        return 0
    return value


def _shares(value: Any, problems: Problems) -> Shares:
    given = pairs(value, "shares", problems)
    for name, share in given:
        if not isinstance(name, str) or not name:
            problems.add(f"a part must have a name, found {name!r}", at="shares")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
            problems.add(f"the share of `{name}` must be above 0 and at most 1, found {share!r}", at="shares")
            return _TRAIN_AND_TEST
    total = sum(share for _, share in given)
    if abs(total - 1) > 1e-9:
        problems.add(f"the shares add up to {total:g}, not to 1", at="shares")
    return tuple((name, float(share)) for name, share in given)


# -------------------------------------------------------------------------------------- documents and texts


def to_document(split: Splitting) -> dict[str, Any]:
    """A split as plain values, as it is kept with a dataset."""
    kind = next(name for name, type_ in _KINDS.items() if isinstance(split, type_))
    fields = {name: getattr(split, name) for name in split.__dataclass_fields__}
    if "shares" in fields:
        fields["shares"] = dict(fields["shares"])
    return {"type": kind, **fields}


def from_document(document: Mapping[str, Any]) -> Splitting:
    """The split of a document that `to_document` made."""
    fields = dict(document)
    return _KINDS[fields.pop("type")](**fields)


def parse_split(text: str) -> Splitting:
    """A split as the command line has it: `time:test_from=2026-01-01,gap=7d`, `folds:folds=3`,
    `entity:keys=user,train=0.7,test=0.3`, `random:seed=1,stratify=late`. Several keys are joined by `+`.

    Raises: UsageError for another form; DefinitionError for values that cannot be.
    """
    kind, _, rest = text.partition(":")
    if kind not in _KINDS:
        close = nearest(kind, _KINDS)
        raise UsageError(
            f"`{kind}` is no way to split",
            hint=f"did you mean `{close}`?" if close else f"known: {', '.join(_KINDS)}",
        )
    allowed = _KINDS[kind].__dataclass_fields__
    fields: dict[str, Any] = {}
    shares: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"`{part}` is not of the form name=value", hint=_EXAMPLE)
        if name in allowed and name != "shares":
            fields[name] = _read(name, value)
        elif "shares" in allowed:
            shares[name] = _number(value, part, float)
        else:
            raise UsageError(f"`{kind}` takes no `{name}`", hint=f"known: {', '.join(allowed)}")
    if shares:
        fields["shares"] = shares
    try:
        return _KINDS[kind](**fields)
    except TypeError:
        needed = "folds" if kind == "folds" else "test_from"
        raise UsageError(f"`{kind}` needs `{needed}`", hint=_EXAMPLE) from None


_EXAMPLE = "such as time:test_from=2026-01-01,gap=7d or random:train=0.8,test=0.2,seed=1"


def _read(name: str, value: str) -> Any:
    if name in ("seed", "folds"):
        return _number(value, f"{name}={value}", int)
    return tuple(value.split("+")) if name == "keys" else value


def _number(value: str, part: str, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"`{part}`: `{value}` is no number", hint=_EXAMPLE) from None


def check_split(value: Any) -> Splitting:
    """A split, or its text. Raises: UsageError."""
    if isinstance(value, str):
        return parse_split(value)
    if not isinstance(value, Splitting):
        raise UsageError(
            f"a training set is split by a gn.TimeSplit, gn.WalkForward, gn.EntitySplit or gn.RandomSplit, "
            f"found {type_of(value)}"
        )
    return value
