"""What is the buckets' own: URLs, options and the environment, and servers that are away."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import Unavailable, UsageError
from gnomon.offline.bucket import Bucket, BucketStore
from tests.flows.small import DAY, HOUR, VISITS, Clock, T, ask, train, visit

FRAME = pl.DataFrame({"k": [1, 2], "x": ["a", None]})


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("gs://bucket/a/b/", "gs://bucket/a/b"),
        ("abfs://container@account/a", "abfs://container@account/a"),
    ],
)
def test_urls_name_a_bucket_and_a_prefix(tmp_path, url, base):
    assert BucketStore.from_url(url, root=tmp_path).place.base == base


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "s3://bucket?region=x", "s3://bucket/a#b"])
def test_other_urls_are_refused(tmp_path, url):
    with pytest.raises(UsageError) as caught:
        BucketStore.from_url(url, root=tmp_path)
    assert caught.value.hint


def test_an_endpoint_without_tls_needs_no_more_leave(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    plain = {"AWS_Endpoint_URL": "http://h:1"}
    assert Bucket("s3://b", plain).options == {"allow_http": "true", "aws_endpoint_url": "http://h:1"}
    assert Bucket("s3://b", {**plain, "allow_http": "false"}).options["allow_http"] == "false"
    assert "allow_http" not in Bucket("s3://b", {"aws_endpoint_url": "https://h"}).options
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://h:1")
    assert Bucket("s3://b", {}).options == {"allow_http": "true"}


def test_no_secret_is_shown():
    store = BucketStore(Bucket("s3://b/p", {"aws_secret_access_key": "hush"}))
    assert repr(store) == "BucketStore('s3://b/p')"


def test_the_environment_tells_what_the_options_do_not(seaweed, monkeypatch):
    for name, value in seaweed.options.items():
        monkeypatch.setenv(name.upper(), value)
    store = BucketStore(Bucket(f"{seaweed.url}/a", {}))
    store.append("g@1", FRAME)
    assert store.scan("g@1", dict(FRAME.schema)).collect().equals(FRAME)
    assert store.tables() == ["g@1"]


def test_other_tools_read_the_tables(seaweed):
    BucketStore(Bucket(f"{seaweed.url}/a", seaweed.options)).append("g@1", FRAME)
    assert pl.read_delta(f"{seaweed.url}/a/g@1", storage_options=dict(seaweed.options)).equals(FRAME)


def test_a_project_keeps_its_rows_there(seaweed, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", seaweed.options["aws_secret_access_key"])
    options = {**seaweed.options, "aws_secret_access_key": "${SECRET}"}
    lines = "\n".join(f'{name} = "{value}"' for name, value in options.items())
    (tmp_path / "gnomon.toml").write_text(
        f'[offline]\nurl = "{seaweed.url}/rows"\n\n[offline.options]\n{lines}\n\n[online]\nurl = "memory://"\n'
    )
    with gn.Store(tmp_path, clock=Clock()) as store:
        store.apply([VISITS])
        assert store.insert(VISITS, [visit(1, T - HOUR, 5), visit(2, T - 2 * HOUR, 7)]).accepted == 2
        assert store.insert(VISITS, [visit(1, T - HOUR, 5)]).accepted == 0
        store.materialize()
        assert ask(store, ["visits:ms_sum_1d"], [1]) == {"ms_sum_1d": [5]}
        assert train(store, ["visits:ms_sum_1d"], [(1, T), (2, T - DAY)]) == {"ms_sum_1d": [5, None]}
        assert "a-secret" not in repr(store._project.config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aws_endpoint_url": "http://127.0.0.1:1"}, "refused"),
        ({"aws_secret_access_key": "wrong"}, "Signature"),
    ],
)
def test_a_server_that_cannot_be_used_is_told(seaweed, change, words):
    store = BucketStore(Bucket(f"{seaweed.url}/a", {**seaweed.options, **change}))
    for work in (lambda: store.version("g@1"), lambda: store.append("g@1", FRAME), store.tables):
        with pytest.raises(Unavailable) as caught:
            work()
        assert words in caught.value.what
        assert "\n" not in caught.value.what
        assert caught.value.at.startswith(seaweed.url)
        assert "wrong" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_goes_away_and_comes_back_has_lost_nothing(seaweed, seaweed_server):
    """What was acknowledged is there; what was not is told as passing, and can be done again."""
    store = BucketStore(Bucket(f"{seaweed.url}/a", seaweed.options))
    assert store.append("g@1", FRAME) == 0
    seaweed_server.kill()
    try:
        for work in (
            lambda: store.change("g@1", lambda base: store.append("g@1", FRAME, after=base)),
            lambda: store.scan("g@1", dict(FRAME.schema)).collect(),
            lambda: store.rewrite("g@1", ["k"]),
            lambda: store.unneeded("g@1", age=0),
            store.notes,
        ):
            with pytest.raises(Unavailable):
                work()
    finally:
        seaweed_server.start()
    assert store.scan("g@1", dict(FRAME.schema)).collect().equals(FRAME)
    assert store.change("g@1", lambda base: store.append("g@1", FRAME, after=base)) == 1
