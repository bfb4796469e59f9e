"""A folder's files are read with the types of all of them: by itself a part must not look otherwise."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn

HEAD = "k,t,x\n"


def both(
    tmp_path: Path, first: str, second: str, key: type[pl.DataType], value: object, **times: str
) -> list[dict]:
    """What training and the online store say of a folder of two files."""
    (tmp_path / "c").mkdir()
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "x"\n')
    (tmp_path / "c" / "0.csv").write_text(first)
    (tmp_path / "c" / "1.csv").write_text(second)
    source = gn.FileSource("f", path="c", timestamp="t", **times)
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("u", keys={"k": key}), source=source, features=[gn.count(), gn.last("x")]
    )
    at = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    with gn.Store(tmp_path, online="memory://") as store:
        store.apply([group])
        store.materialize()
        spine = pl.DataFrame({"k": [value], "event_timestamp": [at]})
        trained = store.get_historical_features(spine, [group]).to_polars()
        online = store.get_online_features([group], [{"k": value}], at=at).to_dict()
    return [trained.select(list(online)).to_dicts()[0], {name: column[0] for name, column in online.items()}]


def test_the_same_row_in_two_files_is_one_row(tmp_path):
    row = "1,1970-01-01T00:00:01Z,1\n"
    trained, online = both(tmp_path, HEAD + row, HEAD + row + "1,1970-01-01T00:00:02Z,1.5\n", pl.Int64, 1)
    assert trained == online == {"count": 2, "x_last": 1.5}


def test_a_text_key_keeps_its_zeros(tmp_path):
    first, second = "007,1970-01-01T00:00:01Z,1\n", "abc,1970-01-01T00:00:02Z,2\n"
    trained, online = both(tmp_path, HEAD + first, HEAD + second, pl.String, "007")
    assert trained == online == {"count": 1, "x_last": 1}


@pytest.mark.parametrize("ids", [("007", "a"), ("1", "b")])
def test_ids_that_look_like_numbers_in_one_file_are_text_in_all(tmp_path, ids):
    head = "k,t,x,id\n"
    first = f"1,1970-01-01T00:00:01Z,1,{ids[0]}\n"
    second = first + f"1,1970-01-01T00:00:02Z,2,{ids[1]}\n"
    trained, online = both(tmp_path, head + first, head + second, pl.Int64, 1, event_id="id")
    assert trained == online == {"count": 2, "x_last": 2}


def test_a_correction_may_arrive_before_what_it_corrects(tmp_path):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    day = timedelta(days=1)

    def rows(*given: tuple[int, int, int, int]) -> pl.DataFrame:
        return pl.DataFrame(
            [{"k": k, "id": i, "t": start + t * day, "known": start + n * day} for k, i, t, n in given]
        )

    answers = []
    for correction, original in (("a", "b"), ("b", "a")):
        folder = tmp_path / correction
        (folder / "c").mkdir(parents=True)
        (folder / "gnomon.toml").write_text('[project]\nname = "x"\n')
        rows((1, 7, 1, 11)).write_parquet(folder / "c" / f"{correction}.parquet")
        rows((1, 7, 10, 10), (2, 8, 12, 12)).write_parquet(folder / "c" / f"{original}.parquet")
        source = gn.FileSource("f", path="c", timestamp="t", known_at="known", event_id="id")
        group = gn.FeatureGroup(
            "g", entity=gn.Entity("u", keys={"k": int}), source=source, features=[gn.count(windows=["3d"])]
        )
        with gn.Store(folder, online="memory://") as store:
            store.apply([group])
            store.materialize()
            answers.append(store.get_online_features([group], [{"k": 1}], at=start + 12 * day).to_dict())
    assert answers == [{"count_3d": [0]}] * 2
