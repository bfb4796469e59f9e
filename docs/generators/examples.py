"""One example of each kind of error: provoked, and its text as users see it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import gnomon as gn
from gnomon import errors, plugins
from gnomon.client.call import Reply
from gnomon.client.problems import raise_problem
from gnomon.offline.delta import DeltaStore
from gnomon.offline.places import Folder
from gnomon.registry.requirements import RevisionIs
from gnomon.registry.updates import Put, Remove
from gnomon.store import Dataset
from gnomon.time import instant

_PLACE = "/home/ana/shop"
"""Stands for the temporary folder, which has another name each time."""

_CUSTOMER = gn.Entity("customer", keys={"customer_id": int})


def _spending(**changes: object) -> gn.FeatureGroup:
    return gn.FeatureGroup(
        "spending",
        entity=_CUSTOMER,
        timestamp="bought_at",
        schema={"amount": int},
        features=[gn.sum("amount", windows=["7d"])],
        **changes,  # type: ignore[arg-type]
    )


_ROWS = {"customer_id": [1, 1], "bought_at": ["2026-01-01", "2026-01-02"], "amount": [5, 7]}
_SPINE = {"customer_id": [1], "event_timestamp": ["2026-01-03"]}
_WANTED = ["spending:amount_sum_7d"]


def _definition(_: Path) -> None:
    gn.sum(windows=["0d"], limit=0)


def _breaking(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.apply([_spending(settling_delay="1h")])


def _usage(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.get_historical_features(_SPINE, _WANTED, as_of="newest")


def _not_found(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.get_historical_features(_SPINE, ["spending:amount_sum_7"])


def _data(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.get_historical_features({"customer": [1], "event_timestamp": ["2026-01-03"]}, _WANTED)


def _denied(_: Path) -> None:
    raise_problem(Reply(403, {}, b""), "https://features.example.com")


def _horizon(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.insert("spending", _ROWS)
        store.materialize()
        store.get_online_features(_WANTED, [{"customer_id": 1}], at="2025-01-01")


def _compute(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.insert("spending", {**_ROWS, "amount": [2**63 - 1, 1]})
        store.get_historical_features(_SPINE, _WANTED).to_polars()


def _conflict(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([_spending()])
        store.registry.commit([RevisionIs(0)], [Put("entity", "shop", "{}")])


def _broken_contract(folder: Path) -> None:
    with _store(folder) as store:
        store.apply([gn.FeatureService("model", features=[_spending()])])
        contract = store.contract("model")
        store.registry.commit([], [Remove("service", "model@1")], "no model any more")
        store.pins.require("model@1", contract.hash)


def _corrupt(folder: Path) -> None:
    with _store(folder) as store:
        saved = _saved(store)
        saved.path.write_bytes(saved.path.read_bytes()[:-1])
        saved.to_polars()


def _unavailable(folder: Path) -> None:
    table = folder / "offline" / "spending@1" / "_delta_log"
    table.mkdir(parents=True)
    (table / "00000000000000000000.json").write_text("cut off")
    try:
        DeltaStore(Folder(folder / "offline")).version("spending@1")
    except errors.Unavailable as error:
        # What the library says about the file differs between its releases.
        raise errors.Unavailable(error.what.split(":")[0] + ": …", at=error.at, hint=error.hint) from None


def _missing(_: Path) -> None:
    plugins.require("pandas_of_tomorrow", extra="pandas", purpose="to_pandas()")


def _gone(folder: Path) -> None:
    with _store(folder) as store:
        saved = _saved(store)
        saved.path.unlink()
        saved.to_polars()


def _stopped(folder: Path) -> None:
    source = gn.FileSource("purchases", path="purchases.csv", timestamp="bought_at")
    group = gn.FeatureGroup("visits", entity=_CUSTOMER, source=source, features=[gn.count(windows=["7d"])])
    file = folder / "purchases.csv"
    file.write_text("customer_id,bought_at\n1,2026-01-01 10:00:00\n")
    with gn.Store(_project(folder)) as store:
        store.apply([group])
        file.unlink()
        store.materialize()


def _saved(store: gn.Store) -> Dataset:
    store.apply([_spending()])
    store.insert("spending", _ROWS)
    return store.get_historical_features(_SPINE, _WANTED).save("march")


def _project(folder: Path) -> Path:
    (folder / "gnomon.toml").write_text("")
    return folder


def _store(folder: Path) -> gn.Store:
    return gn.Store(_project(folder), online="memory://", author="ana", clock=lambda: instant("2026-01-03"))


def _provoked(provoke: Callable[[Path], None], kind: type[errors.GnomonError]) -> Callable[[], str]:
    def text() -> str:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            try:
                provoke(folder)
            except kind as error:
                return str(error).replace(str(folder), _PLACE)
        raise LookupError(f"{kind.__name__} was not raised")

    return text


EXAMPLES: dict[str, Callable[[], str]] = {
    kind.__name__: _provoked(provoke, kind)
    for kind, provoke in [
        (errors.DefinitionError, _definition),
        (errors.BreakingChange, _breaking),
        (errors.UsageError, _usage),
        (errors.NotFound, _not_found),
        (errors.DataError, _data),
        (errors.Denied, _denied),
        (errors.HorizonError, _horizon),
        (errors.ComputeError, _compute),
        (errors.Conflict, _conflict),
        (errors.BrokenContract, _broken_contract),
        (errors.CorruptValue, _corrupt),
        (errors.Unavailable, _unavailable),
        (errors.MissingDependency, _missing),
        (errors.Gone, _gone),
        (errors.Stopped, _stopped),
    ]
}
