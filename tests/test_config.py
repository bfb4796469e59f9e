"""gnomon.toml: what is read, and what every mistake in it is told as."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.config import DEFAULT_TEXT, FILE_NAME, Config, load, with_overrides
from gnomon.errors import DataError, UsageError
from gnomon.time import HOUR


@pytest.fixture
def written(tmp_path):
    """Write gnomon.toml; returns the folder."""

    def write(text: str) -> Path:
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_every_line_is_read(written):
    root = written("""
        [project]
        name = "flüge"
        definitions = "defs"
        [registry]
        url = "postgresql://host/db"
        replica = "copy.db"
        [offline]
        url = "rows"
        [online]
        url = "memory://"
        slack = "2h"
        [engine]
        url = "local://?memory=1GB"
    """)
    assert load(root) == Config(
        root,
        *("flüge", "defs", "postgresql://host/db", "rows", "memory://", "local://?memory=1GB"),
        slack=2 * HOUR,
        replica="copy.db",
    )


def test_another_registry_than_that_of_the_file_has_no_replica_of_it(written):
    root = written('[registry]\nurl = "sqlite:///r.db"\nreplica = "copy.db"')
    assert load(root, registry="sqlite:///other.db").replica is None
    assert load(root, registry="sqlite:///r.db").replica == "copy.db"
    assert load(root, registry="sqlite:///other.db", replica="mine.db").replica == "mine.db"


def test_what_is_left_out_has_its_default(written):
    root = written("")
    assert load(root) == Config(root)


def test_the_text_of_a_new_project_says_the_defaults(written):
    root = written(DEFAULT_TEXT.format(name="gnomon"))
    assert load(root) == Config(root)


def test_keywords_take_the_place_of_lines_and_none_leaves_them(written):
    root = written('[online]\nurl = "lmdb://a"\n[project]\nname = "kept"')
    config = load(root, online="memory://", name=None, slack="1h")
    assert (config.online, config.name, config.slack) == ("memory://", "kept", HOUR)


def test_an_unknown_keyword_is_told_with_the_known(tmp_path):
    with pytest.raises(UsageError, match="`onlin` is not a setting") as caught:
        with_overrides(Config(tmp_path), onlin="memory://")
    assert "online" in caught.value.hint


def test_a_variable_is_read_from_the_environment(written, monkeypatch):
    monkeypatch.setenv("GNOMON_TEST_NAME", "ana")
    root = written('[registry]\nurl = "sqlite:///${GNOMON_TEST_NAME}/${GNOMON_TEST_NAME}.db"')
    assert load(root).registry == "sqlite:///ana/ana.db"


def test_a_variable_that_is_not_set_is_named_with_its_place(written, monkeypatch):
    monkeypatch.delenv("GNOMON_TEST_NAME", raising=False)
    root = written('[online]\nurl = "${GNOMON_TEST_NAME}"')
    with pytest.raises(
        DataError, match=r"`online.url` needs the environment variable GNOMON_TEST_NAME"
    ) as caught:
        load(root)
    assert caught.value.at == str(root / FILE_NAME)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ('[onlin]\nurl = "memory://"', "unknown section `[onlin]`", "did you mean `online`?"),
        (
            '[streams]\nurl = "x"',
            "unknown section `[streams]`",
            "known: project, registry, offline, online, engine, storage, serve, log",
        ),
        ('[online]\nulr = "memory://"', "unknown key `ulr` in `[online]`", "did you mean `url`?"),
        ("[engine]\nthreads = 2", "unknown key `threads` in `[engine]`", "known: url"),
        ('online = "memory://"', "`online` must be a section", "write [online]"),
        ("storage = 5", "`storage` must be a section", "write [storage]"),
        ("[storage]\naws_region = 5", "`storage.aws_region` must be text, found 5", None),
        ("[online]\nurl = 5", "`online.url` must be text, found 5", None),
        ("[project]\nname = ['a']", "`project.name` must be text, found ['a']", None),
    ],
)
def test_each_mistake_is_told_with_its_place(written, text, what, hint):
    root = written(text)
    with pytest.raises(DataError) as caught:
        load(root)
    assert (caught.value.what, caught.value.hint) == (what, hint)
    assert caught.value.at == str(root / FILE_NAME)


def test_a_cache_is_a_duration_and_none_of_no_time(written):
    assert load(written('[online]\ncache = "500ms"')).cache == 500_000
    assert load(written('[online]\ncache = "0s"')).cache is None
    assert load(written('[online]\ncache = "500ms"'), cache="0s").cache is None
    assert load(written("")).cache is None
    with pytest.raises(DataError, match=r"`online.cache`: `soon` is not a duration"):
        load(written('[online]\ncache = "soon"'))
    with pytest.raises(UsageError, match="is not a duration"):
        load(written(""), cache="soon")


def test_a_length_that_is_none_is_told_with_its_line(written):
    root = written('[online]\nslack = "2 weeks"')
    with pytest.raises(DataError, match=r"`online.slack`: `2 weeks` is not a duration") as caught:
        load(root)
    assert caught.value.at == str(root / FILE_NAME)
    assert "7d" in caught.value.hint


@pytest.mark.parametrize("content", [b"[online\n", b'[project]\nname = "\xff"'])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)


def test_a_folder_without_the_file_is_no_project(tmp_path):
    with pytest.raises(DataError, match="no project at") as caught:
        load(tmp_path)
    assert "gnomon init" in caught.value.hint


def test_options_of_the_offline_store_are_texts_that_may_name_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "hush")
    (tmp_path / "gnomon.toml").write_text(
        '[offline]\nurl = "s3://b"\noptions = { region = "eu", secret = "${KEY}" }\n'
    )
    config = load(tmp_path)
    assert dict(config.offline_options) == {"region": "eu", "secret": "hush"}
    assert "hush" not in repr(config)
    assert load(tmp_path, offline="s3://b").offline_options == config.offline_options
    assert load(tmp_path, offline="s3://other").offline_options == ()


@pytest.mark.parametrize(
    ("line", "what"), [("options = 5", "a section"), ("options = { a = 5 }", "must be text")]
)
def test_options_that_are_no_texts_are_told(tmp_path, line, what):
    (tmp_path / "gnomon.toml").write_text(f"[offline]\n{line}\n")
    with pytest.raises(DataError, match=what) as caught:
        load(tmp_path)
    assert "offline.options" in str(caught.value)


def test_options_of_object_stores_have_any_name_and_variables_in_them(written, monkeypatch):
    monkeypatch.setenv("SECRET", "xyz")
    root = written('[storage]\naws_region = "eu-1"\naws_secret_access_key = "${SECRET}"')
    assert dict(load(root).storage) == {"aws_region": "eu-1", "aws_secret_access_key": "xyz"}
    assert "xyz" not in repr(load(root))
