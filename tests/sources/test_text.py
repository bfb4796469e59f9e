"""CSV dates that are no ISO 8601 are not guessed: they stay text, and text that is no time is an error."""

from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import GnomonError
from gnomon.sources.text import dates_as_text


@pytest.mark.parametrize(
    ("written", "stays_text"),
    [("2026-05-06", False), ("2026-05-06 10:00:00", False), ("05/06/2026", True), ("06/05/2026 10:00", True)],
)
def test_only_iso_dates_are_read_as_dates(written, stays_text):
    content = BytesIO(f"u,at\n1,{written}\n2,\n".encode())
    assert dates_as_text(content) == ({"at": pl.String()} if stays_text else {})


def test_a_file_with_other_dates_as_event_time_is_refused(tmp_path: Path):
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "dates"\n')
    (tmp_path / "a.csv").write_text("u,at\n1,05/06/2026 11:00\n")
    source = gn.FileSource("a", path="a.csv", timestamp="at")
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("u", keys={"u": int}), source=source, features=[gn.count(windows=["1h"])]
    )
    with gn.Store(tmp_path) as store:
        store.apply([group])
        with pytest.raises(GnomonError, match="`g@1`"):
            store.materialize()
        with pytest.raises(GnomonError, match="`g@1`"):
            store.get_historical_features({"u": [1], "event_timestamp": ["2026-07-01"]}, [group]).to_polars()
