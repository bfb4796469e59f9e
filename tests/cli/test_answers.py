"""training, get, explain."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.cli.starter import ASK_AT
from gnomon.errors import LeakWarning
from gnomon.store import Store
from tests.serve.server import serving

KEY = ("--key", "customer=c07")
BASKET = ("--request", "basket=60")
AT = ("--at", ASK_AT)


def test_training_set_is_the_spine_with_features(ask, filled, tmp_path):
    ran = ask(
        "training",
        filled / "spine.csv",
        "--features",
        "shop_model",
        "--out",
        tmp_path / "t.parquet",
        "--json",
    )
    assert ran.status == 0
    frame = pl.read_parquet(tmp_path / "t.parquet")
    with Store(filled) as store:
        spine = pl.read_csv(filled / "spine.csv", try_parse_dates=True)
        assert frame.equals(store.get_historical_features(spine, "shop_model").to_polars())
    assert ran.json["rows"] == 60
    assert ran.json["features"] == frame.columns[3:]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_training_set_is_written_in_the_format_of_its_name(ask, filled, tmp_path, name):
    wanted = "spending:orders_7d,last_order:category"
    assert ask("training", filled / "spine.csv", "--features", wanted, "--out", tmp_path / name).status == 0
    read = pl.read_csv if name.endswith("csv") else pl.read_ndjson
    assert read(tmp_path / name).columns[3:] == ["orders_7d", "category"]


def test_keys_of_a_spine_are_read_as_the_entity_says(gnomon, shop):
    """Customers called 07 are text where the entity says text, whatever a CSV file looks like."""
    (shop / "spine.csv").write_text("customer,event_timestamp\n07,2025-06-01\n")
    assert gnomon("apply").status == 0
    ran = gnomon("training", "spine.csv", "--features", "spending:orders_7d", "--out", "t.parquet")
    assert ran.status == 0
    assert pl.read_parquet("t.parquet")["customer"].to_list() == ["07"]


def test_explain_reads_no_rows_and_writes_nothing(ask, filled):
    ran = ask("training", filled / "spine.csv", "--features", "shop_model", "--explain")
    assert ran.status == 0
    assert "count() in [t - 7d, t)" in ran.out


def test_saved_training_set_is_a_dataset(gnomon, shop):
    assert gnomon("apply").status == 0
    ran = gnomon("training", "spine.csv", "--features", "shop_model", "--save", "first", "--json")
    assert ran.json["dataset"] == "first"
    with Store(shop) as store:
        assert len(store.dataset("first").to_polars()) == 60


def labelled(shop) -> None:
    """Adds a label to the starter's definitions, and applies them."""
    path = shop / "features.py"
    label = """
outcome = gn.FeatureGroup(
    "outcome", entity=spending.entities, source=spending.source, features=[gn.label(gn.count(), "30d", name="next")]
)
"""
    path.write_text(path.read_text() + label)


def test_training_set_is_written_in_parts_and_leaks_are_told(gnomon, shop):
    labelled(shop)
    assert gnomon("apply").status == 0
    asked = ("training", "spine.csv", "--features", "spending:orders_7d,outcome:next", "--out", "t.csv")
    ran = gnomon(*asked, "--split", "random:train=0.5,test=0.5,seed=1", "--save", "parts")
    assert ran.status == 0
    assert "leak: the windows of label `next` overlap between parts" in ran.out
    assert ran.err == ""
    sizes = {name: len(pl.read_csv(f"t.{name}.csv")) for name in ("train", "test")}
    assert sum(sizes.values()) == 60
    assert all(f"{name}: {n} rows" in ran.out for name, n in sizes.items())
    assert not (shop / "t.csv").exists()
    with Store(shop) as store, pytest.warns(LeakWarning):
        kept = store.dataset("parts").split()
    assert {name: len(part) for name, part in kept.parts.items()} == sizes
    told = gnomon(*asked, "--split", "time:test_from=2025-06-01,gap=0s", "--json").json
    assert told["parts"].keys() == {"train", "test"}
    assert (told["left_out"], len(told["leaks"])) == (0, 1)


def test_source_of_labels_may_be_said_to_be_complete(gnomon, shop):
    labelled(shop)
    assert gnomon("apply").status == 0
    asked = ("training", "spine.csv", "--features", "outcome:next", "--out", "t.csv")
    assert gnomon(*asked, "--complete-until", "2000-01-01").status == 0
    assert not pl.read_csv("t.csv")["next_mature"].any()
    assert gnomon(*asked, "--complete-until", "2026-01-01").status == 0
    assert pl.read_csv("t.csv")["next_mature"].all()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--out", "t.parquet", "--split", "halves"),
        ("--out", "t.parquet", "--complete-until", "soon"),
        ("--out", "t.xls"),
        ("--out", "none/t.parquet"),
        ("--out", "t.parquet", "--as-of", "sometime"),
    ],
)
def test_training_that_cannot_end_well_is_refused_before_it_begins(ask, filled, monkeypatch, options):
    monkeypatch.chdir(filled)
    ran = ask("training", filled / "spine.csv", "--features", "shop_model", *options)
    assert ran.status == 2
    assert not (filled / "t.parquet").exists()


@pytest.mark.parametrize("out", ["spine.csv", "./spine.csv", "same.csv", "linked.csv"])
def test_spine_is_never_overwritten_by_its_training_set(gnomon, shop, out):
    """Under whatever name it is reached."""
    (shop / "same.csv").symlink_to("spine.csv")
    (shop / "linked.csv").hardlink_to(shop / "spine.csv")
    before = (shop / "spine.csv").read_bytes()
    assert gnomon("apply").status == 0
    ran = gnomon("training", "spine.csv", "--features", "shop_model", "--out", out)
    assert ran.status == 2
    assert "is the spine itself" in ran.err
    assert (shop / "spine.csv").read_bytes() == before


def test_spine_is_never_overwritten_by_a_part(gnomon, shop):
    assert gnomon("apply").status == 0
    spine = (shop / "spine.csv").rename(shop / "spine.test.csv").read_text()
    asked = (
        "training",
        "spine.test.csv",
        "--features",
        "shop_model",
        "--out",
        "spine.csv",
        "--split",
        "random",
    )
    ran = gnomon(*asked)
    assert ran.status == 2
    assert "is the spine itself" in ran.err
    assert (shop / "spine.test.csv").read_text() == spine
    assert not (shop / "spine.train.csv").exists()


def test_missing_spine_offers_the_nearest_file(ask, filled):
    ran = ask("training", filled / "spine.cs", "--features", "shop_model", "--out", "t.parquet")
    assert ran.status == 2
    assert "did you mean `spine.csv`?" in ran.err


def test_get_answers_as_the_training_set_does(ask, filled, tmp_path):
    (tmp_path / "s.csv").write_text(f"customer,event_timestamp,basket\nc07,{ASK_AT},60\n")
    ask("training", tmp_path / "s.csv", "--features", "shop_model", "--out", tmp_path / "t.parquet")
    trained = pl.read_parquet(tmp_path / "t.parquet")
    found = ask("get", "shop_model", *KEY, *BASKET, *AT, "--json").json
    assert found["at"] == "2025-06-30T12:00:00.000000Z"
    online = dict(zip(found["features"], found["rows"][0], strict=True))
    for name in ("category", "large", "orders_7d", "orders_30d", "amount_mean_30d", "basket_share"):
        assert online[name] == trained[name][0]


def test_get_shows_value_status_and_time(ask):
    lines = ask("get", "spending:orders_30d,spending:idle", *KEY, *AT).out.splitlines()
    assert lines[0] == "customer=c07 at 2025-06-30T12:00:00.000000Z"
    assert lines[1].split() == ["feature", "value", "status", "event", "time"]
    assert lines[2].split() == ["orders_30d", "2", "PRESENT", "2025-06-26T07:09:44.000000Z"]
    assert "4 days, 4:50:16" in lines[3]


def test_get_asks_about_several_entities_in_order(ask):
    keys = ("--key", "customer=c99", "--key", "customer=c07", "--key", "customer=c99")
    found = ask("get", "spending:orders_30d", *keys, *AT, "--json").json
    assert found["rows"] == [[0], [2], [0]]
    assert [row[0] for row in found["statuses"]] == ["NOT_FOUND", "PRESENT", "NOT_FOUND"]
    assert found["event_times"] == [[None], ["2025-06-26T07:09:44.000000Z"], [None]]


def test_full_names_are_given_when_asked_for(ask):
    found = ask("get", "spending:orders_30d", *KEY, *AT, "--full-names", "--json").json
    assert found["features"] == ["spending__orders_30d"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "add --key customer=…"),
        ((*KEY, "--key", "customer"), None),
        (("--key", "custmer=c07", *BASKET), "did you mean `customer`?"),
        (KEY, "add --request basket=…"),
        ((*KEY, "--request", "basket=much"), "write it as a number: 3.5"),
        ((*KEY, *BASKET, "--request", "bskt=1"), "did you mean `basket`?"),
        ((*KEY, *KEY, *KEY, *BASKET, *BASKET), None),
        ((*KEY, *BASKET, "--at", "noon"), "write it as 2026-01-31 or 2026-01-31T12:00:00Z"),
    ],
)
def test_question_that_cannot_be_right_is_wrong_use(ask, arguments, hint):
    ran = ask("get", "shop_model", *arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert (f"hint: {hint}" in ran.err) if hint else True


def test_value_that_cannot_be_computed_is_a_finding(gnomon, shop):
    text = (shop / "features.py").read_text()
    failing = "if basket[0] == 666:\n        raise ValueError('no such basket')\n    return basket"
    (shop / "features.py").write_text(text.replace("return basket", failing))
    assert gnomon("apply").status == 0
    assert gnomon("materialize").status == 0
    ran = gnomon("get", "shop_model", *KEY, "--request", "basket=666", *AT)
    assert ran.status == 1
    assert "ERROR" in ran.out
    assert "no such basket" in ran.out
    assert gnomon("get", "shop_model", *KEY, *BASKET, *AT).status == 0


def test_explanation_names_the_rows_and_the_windows_edges(ask):
    ran = ask("explain", "spending:orders_30d", *KEY, *AT, "--json")
    assert ran.status == 0
    assert ran.json["value"] == 2
    assert (ran.json["from"], ran.json["to"]) == (
        "2025-05-31T12:00:00.000000Z",
        "2025-06-30T12:00:00.000000Z",
    )
    assert [row["id"] for row in ran.json["rows"] if row["counts"]] == [1271, 1297]
    assert "id 1297" in ask("explain", "spending:orders_30d", *KEY, *AT).out


def test_only_one_feature_of_a_group_is_explained(ask):
    assert ask("explain", "shop_model", *KEY).status == 2
    assert ask("explain", "spending:orders_7d", *KEY, *KEY).status == 2


def test_get_asks_a_server_as_it_asks_a_project(ask, gnomon, filled):
    question = ("get", "shop_model", *KEY, *BASKET, *AT, "--json")
    want = ask(*question)
    with serving(filled) as url:
        assert gnomon(*question, "--url", url).json == want.json
        assert gnomon(*question, "--url", url, "--project", filled).status == 2
        ran = gnomon("get", "shop_modle", *KEY, "--url", url)
    assert (ran.status, "did you mean `shop_model`" in ran.err) == (2, True)
