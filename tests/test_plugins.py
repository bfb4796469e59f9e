"""Schemes of URLs: which class is found, and what an error says when none is."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from gnomon import plugins
from gnomon.errors import MissingDependency, NotFound, UsageError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution: `installed(name, entry_points, **modules)` with each module's source."""

    def install(name: str, points: str, **modules: str) -> None:
        site = tmp_path / name
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(site)

    return install


@pytest.mark.parametrize(
    ("kind", "url", "want"),
    [
        ("online", "lmdb://.gnomon/online", "lmdb"),
        ("online", "MEMORY://", "memory"),
        ("registry", "sqlite:///.gnomon/registry.db", "sqlite"),
        ("registry", "postgresql+psycopg://u:p@h/db", "postgresql"),
        ("engine", "local", "local"),
        ("engine", "spark://host:7077", "spark"),
        ("offline", ".gnomon/offline", "delta"),
        ("offline", "/data/offline", "delta"),
        ("offline", "s3://bucket/offline", "s3"),
    ],
)
def test_scheme_is_what_stands_before_the_slashes_or_what_the_kind_implies(kind, url, want):
    assert plugins.scheme(kind, url) == want


@pytest.mark.parametrize(("kind", "url"), [("online", ".gnomon/online"), ("registry", ""), ("offline", "")])
def test_url_without_scheme_is_refused_with_an_example(kind, url):
    with pytest.raises(UsageError, match="has no scheme") as caught:
        plugins.scheme(kind, url)
    assert caught.value.at == f"{kind}.url"
    assert plugins.scheme(kind, caught.value.hint.split("`")[1]) in plugins.BUILT_IN[kind]


def test_error_does_not_show_what_stands_in_a_url():
    with pytest.raises(NotFound) as caught:
        plugins.resolve("online", "etcd://user:secret@host")
    assert "secret" not in str(caught.value)


def test_misspelt_scheme_names_the_nearest_and_all_known():
    with pytest.raises(NotFound) as caught:
        plugins.resolve("online", "lmbd://x")
    assert "`lmbd`" in caught.value.what
    assert caught.value.hint == "did you mean `lmdb`? known: " + ", ".join(
        f"`{name}`"
        for name in sorted(
            [
                *plugins.BUILT_IN["online"],
                *("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster"),
            ]
        )
    )


def test_unknown_scheme_says_how_a_package_adds_one():
    with pytest.raises(NotFound, match=r"known: `local`; a package adds one as `gnomon\.engine`"):
        plugins.resolve("engine", "zzz://x")


def test_installed_package_adds_a_scheme(installed):
    installed("acme-store", "[gnomon.online]\nacme = acme_store:Store\n", acme_store="class Store: ...\n")
    assert plugins.resolve("online", "acme://host").__module__ == "acme_store"
    assert plugins.known("online") == sorted(["acme", *plugins.BUILT_IN["online"]])


def test_built_in_scheme_is_not_taken_over(installed, monkeypatch):
    monkeypatch.setitem(plugins.BUILT_IN["online"], "memory", "collections:OrderedDict")
    installed("acme-store", "[gnomon.online]\nmemory = acme_store:Store\n", acme_store="class Store: ...\n")
    assert plugins.resolve("online", "memory://").__name__ == "OrderedDict"


def test_two_packages_with_one_scheme_are_both_named(installed):
    installed("acme-store", "[gnomon.online]\nacme = acme_store:Store\n")
    installed("other-store", "[gnomon.online]\nacme = other_store:Store\n")
    with pytest.raises(UsageError, match="more than one package") as caught:
        plugins.resolve("online", "acme://host")
    assert "`acme-store`" in caught.value.what
    assert "`other-store`" in caught.value.what


@pytest.mark.parametrize(
    ("extras", "requirement"),
    [("", "acme-store"), (" [fast]", "acme-store[fast]"), (" [a, b]", "acme-store[a,b]")],
)
def test_missing_driver_prints_the_line_that_installs_it(installed, extras, requirement):
    installed(
        "acme-store",
        f"[gnomon.online]\nacme = acme_store:Store{extras}\n",
        acme_store="import acme_driver\n",
    )
    with pytest.raises(MissingDependency, match="`acme` needs `acme_driver`") as caught:
        plugins.resolve("online", "acme://host")
    assert caught.value.hint == f"pip install '{requirement}'"


def test_entry_point_to_a_module_that_does_not_exist_is_not_taken_for_a_missing_driver(installed):
    installed("acme-store", "[gnomon.online]\nacme = acme_absent:Store\n")
    with pytest.raises(ModuleNotFoundError, match="acme_absent"):
        plugins.resolve("online", "acme://host")


def test_require_returns_the_module_or_the_line_that_installs_it():
    assert plugins.require("json", extra="x", purpose="a test") is sys.modules["json"]
    with pytest.raises(MissingDependency) as caught:
        plugins.require("gnomon_absent_driver", extra="fast", purpose="to_fast()")
    assert caught.value.what == "to_fast() needs `gnomon_absent_driver`, which is not installed"
    assert caught.value.hint == "pip install 'gnomon[fast]'"


def test_the_table_and_the_declared_entry_points_are_equal():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {group.removeprefix("gnomon."): points for group, points in project["entry-points"].items()}
    assert declared == plugins.BUILT_IN


@pytest.mark.parametrize(
    ("kind", "scheme"), [(kind, scheme) for kind, table in plugins.BUILT_IN.items() for scheme in table]
)
def test_every_built_in_scheme_loads(kind, scheme):
    assert isinstance(plugins.resolve(kind, f"{scheme}://"), type)


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"),
    [("redis", "redis", "redis"), ("valkeys", "hiredis", "redis"), ("postgresql", "psycopg", "postgres")],
)
def test_a_driver_that_is_missing_is_named_with_the_line_that_installs_it(scheme, driver, extra, monkeypatch):
    for name in [
        name for name in sys.modules if name.startswith(("gnomon.online.redis", "gnomon.online.postgres"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(MissingDependency, match=f"`{driver}`, which is not installed") as caught:
        plugins.resolve("online", f"{scheme}://h/d")
    assert caught.value.hint == f"pip install 'gnomon[{extra}]'"
