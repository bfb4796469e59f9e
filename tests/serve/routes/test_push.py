"""Rows pushed over HTTP: online when the answer comes, rejected one by one, refused with a problem that says how."""

from __future__ import annotations

import base64
import threading
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.serve.frames import as_stream
from gnomon.serve.openapi import ARROW, PARQUET
from tests.serve.server import ask, serving

DEFINITIONS = """
import gnomon as gn
import polars as pl

user = gn.Entity("user", keys={"user": pl.Int64})
day = gn.Entity("day", keys={"day": pl.Datetime("us", "UTC")})
payments = gn.FeatureGroup(
    "payments", entity=user, timestamp="at",
    schema={"amount": pl.Decimal(10, 2), "weight": pl.Float64, "raw": bytes},
    features=[
        gn.count(windows=["1d"]), gn.sum("amount", windows=["1d"]), gn.sum("weight", windows=["1d"]), gn.last("raw"),
    ],
)
days = gn.FeatureGroup("days", entity=day, timestamp="at", features=[gn.Feature("name", str)])
old = gn.FeatureGroup(
    "old", entity=user, source=gn.FileSource("files", "x.parquet", timestamp="at"),
    schema={"user": int, "at": pl.Datetime("us", "UTC"), "x": int}, features=[gn.sum("x")],
)
DEFINITIONS = [payments, days]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("push")
    (folder / "gnomon.toml").write_text('[project]\nname = "push"\ndefinitions = "features.py"\n')
    (folder / "features.py").write_text(DEFINITIONS)
    frame = pl.DataFrame({"user": [1], "at": [datetime(2026, 1, 1, tzinfo=UTC)], "x": [1]})
    frame.write_parquet(folder / "x.parquet")
    with gn.Store(folder) as store:
        namespace: dict[str, object] = {}
        exec(DEFINITIONS, namespace)  # noqa: S102 - the text of the definitions above
        store.apply([namespace["payments"], namespace["days"], namespace["old"]])
    return folder


@pytest.fixture(scope="module")
def url(project):
    with serving(project, "--workers", "2") as url:
        yield url


def payment(user, amount="1.50", seconds=60, **more):
    at = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    return {"user": user, "at": at, "amount": amount, "weight": 2.5, "raw": None} | more


def told(url, user):
    names = ["count_1d", "amount_sum_1d", "weight_sum_1d", "raw_last"]
    asked = {"features": [f"payments:{name}" for name in names], "entities": [{"user": user}]}
    return ask(url, "/v1/online-features", asked).json["rows"][0]


def test_an_answer_after_a_push_tells_of_its_rows_from_every_worker(url):
    raw = base64.b64encode(b"\x00\xff").decode()
    rows = [payment(1), payment(1, "2.25", weight="NaN", raw=raw, seconds=30)]
    got = ask(url, "/v1/push/payments", {"rows": rows})
    assert (got.status, got.json) == (
        200,
        {"accepted": 2, "rejected": [], "duplicates": 0, "id": 0, "group": "payments@1", "online": True},
    )
    for _ in range(6):
        assert told(url, 1) == [2, "3.75", "NaN", raw]


def test_a_push_sent_again_changes_nothing(url):
    body = {"rows": [payment(2)]}
    assert ask(url, "/v1/push/payments@1", body).json["accepted"] == 1
    again = ask(url, "/v1/push/payments@1", body).json
    assert (again["accepted"], again["duplicates"], again["id"]) == (0, 1, None)
    assert told(url, 2)[0] == 1


def test_rows_are_rejected_one_by_one_by_their_numbers(url):
    rows = [
        payment(3, "one"),
        payment(3),
        payment(3, raw="???"),
        payment(None),
        {"user": 3},
        payment("3"),
        payment(3, "2"),
    ]
    got = ask(url, "/v1/push/payments", {"rows": rows}).json
    assert got["accepted"] == 2
    reasons = {one["row"]: one["reason"] for one in got["rejected"]}
    assert list(reasons) == [0, 2, 3, 4, 5]
    assert "decimal as text" in reasons[0]
    assert "base64" in reasons[2]
    assert "`user` is null" in reasons[3]
    assert "`at` is missing" in reasons[4]
    assert "found String" in reasons[5]
    assert told(url, 3)[:2] == [2, "3.50"]


@pytest.mark.parametrize("media", [ARROW, PARQUET])
def test_tables_are_pushed_as_they_are(url, media, tmp_path):
    user = 10 + len(media)
    frame = pl.DataFrame(
        {
            "user": [user],
            "at": [datetime.now(UTC) - timedelta(seconds=5)],
            "amount": ["4.00"],
            "weight": [1.0],
            "raw": [b"a"],
        }
    ).with_columns(pl.col("amount").cast(pl.Decimal(10, 2)))
    if media == ARROW:
        body = as_stream(frame)
    else:
        frame.write_parquet(tmp_path / "rows")
        body = (tmp_path / "rows").read_bytes()
    got = ask(url, "/v1/push/payments", body, headers={"content-type": media})
    assert got.json["accepted"] == 1
    assert told(url, user)[:2] == [1, "4.00"]


def test_keys_that_are_times_keep_their_microseconds(url):
    at = datetime.now(UTC).isoformat()
    row = {"day": "2026-01-01T00:00:00.000001Z", "at": at, "name": "a"}
    finer = {"day": "2026-01-01T00:00:00.0000011Z", "at": at, "name": "b"}
    got = ask(url, "/v1/push/days", {"rows": [row, finer]}).json
    assert (got["accepted"], [one["row"] for one in got["rejected"]]) == (1, [1])
    asked = {"features": ["days:name"], "entities": [{"day": row["day"]}]}
    assert ask(url, "/v1/online-features", asked).json["rows"] == [["a"]]


def test_pushes_at_once_all_count(url):
    found = []

    def work(i):
        found.append(
            ask(url, "/v1/push/payments", {"rows": [payment(4, f"{i}.00", seconds=i + 1)]}).json["accepted"]
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 16
    assert told(url, 4)[:2] == [16, "120.00"]


@pytest.mark.parametrize(
    ("path", "body", "media", "status", "word"),
    [
        ("payment", {"rows": []}, None, 404, "payments"),
        ("old", {"rows": []}, None, 400, "in place"),
        ("files", {"rows": []}, None, 400, "in place"),
        ("payments", {"rows": {}}, None, 422, "array"),
        ("payments", {"rows": [1]}, None, 422, "object"),
        ("payments", {"row": []}, None, 422, "row"),
        ("payments", b"{", None, 400, "JSON"),
        ("payments", b"nothing", ARROW, 400, "Arrow"),
        ("payments", b"nothing", PARQUET, 400, "Parquet"),
        ("payments", as_stream(pl.DataFrame({"user": [1]})), ARROW, 422, "`at`"),
        ("payments", b"a,b", "text/csv", 415, "text/csv"),
    ],
)
def test_what_cannot_be_pushed_is_a_problem_that_says_why(url, path, body, media, status, word):
    got = ask(url, f"/v1/push/{path}", body, headers={"content-type": media} if media else None)
    assert got.status == status, got.body
    assert got.headers["content-type"] == "application/problem+json"
    assert word in str(got.json)


def test_no_rows_are_fine(url):
    got = ask(url, "/v1/push/payments", {"rows": []}).json
    assert got == {
        "accepted": 0,
        "rejected": [],
        "duplicates": 0,
        "id": None,
        "group": "payments@1",
        "online": True,
    }
