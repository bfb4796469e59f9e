"""How a backfill is told: what was expected beside what was true."""

from __future__ import annotations

from gnomon.flows.backfilled import BackfillReport
from gnomon.flows.estimate import Estimate
from gnomon.plan.normal import Ignored
from gnomon.time import ALWAYS, DAY, NEVER

EXPECTED = Estimate(1_000_000, 7, 2_500_000, 3.25, "a sample of 50,000 rows")


def report(**changes) -> BackfillReport:
    return BackfillReport("visits@1", 0, DAY, 4, 0, EXPECTED, 10, **changes)


def test_run_is_told_beside_what_was_expected():
    assert str(report(rows=999_999, size=2_400_000_000, seconds=4.04)) == (
        "visits@1: [1970-01-01T00:00:00.000000Z, 1970-01-02T00:00:00.000000Z) in 4 chunks\n"
        "rows          999,999  expected 1,000,000\n"
        "size          2.40 GB  expected 2.50 MB\n"
        "time            4.0 s  expected 3.2 s"
    )


def test_what_is_out_of_the_ordinary_is_told_in_the_first_line():
    told = report(duplicates=1, late=2000, ties=1, ignored=Ignored(3, 0), notes=("read at once",))
    told.resumed, told.start, told.end = 3, ALWAYS, NEVER
    assert str(told).splitlines()[0] == (
        "visits@1: [always, never) in 4 chunks; read at once, 3 of them done before, 1 there already, "
        "2,000 older than the horizon, not kept, 1 tie, ignored 3 rows with a null key"
    )


def test_dry_run_tells_only_what_is_expected():
    assert str(report(dry_run=True)).splitlines()[1:] == [
        "1,000,000 rows to read, 10 of them in the interval asked for",
        "7 keys, about 2.50 MB beside the table that answers",
        "about 3.2 s, by a sample of 50,000 rows",
    ]


def test_machines_are_told_all_of_it():
    told = report(rows=5).to_dict()
    assert (told["rows"], told["estimate"]["size"], told["durable"]) == (5, 2_500_000, True)
    assert (told["start"], told["end"]) == (0, DAY)


def test_an_open_end_is_null_to_machines():
    told = report()
    told.start, told.end = ALWAYS, NEVER
    assert (told.to_dict()["start"], told.to_dict()["end"]) == (None, None)
