"""Registry and stores that answer, do not, or are answered for."""

from __future__ import annotations

from gnomon import config, plugins
from gnomon.define.collect import collect
from gnomon.flows.checks import stores
from gnomon.flows.checks.check import attempt
from gnomon.flows.definitions import load_definitions
from tests.flows.checks.conftest import edit


def test_registry_tells_its_revision(opened):
    assert ": revision 1 by " in stores.registry(opened()[0]).text


def test_registry_without_revisions_says_how_to_make_one(opened, tmp_path):
    found = stores.registry(opened(registry=f"sqlite:///{tmp_path}/new.db")[0])
    assert (found.level, found.hint) == ("warn", "`gnomon apply` registers the definitions")


def test_registry_that_is_away_is_an_error_and_with_a_replica_a_warning(
    opened, postgres_url, postgres_server
):
    options = {"registry": postgres_url, "replica": "copy.db"}
    found = stores.registry(opened(**options)[0])
    assert found.level == "warn"  # it is empty
    postgres_server.kill()
    try:
        opened(**options)
        found = stores.registry(opened(**options)[0])
        assert (found.level, "answered by the replica: revision 0" in found.text) == ("warn", True)
        alone = attempt("registry", lambda: stores.registry(opened(registry=postgres_url)[0]))
        assert (alone.level, "cannot be reached" in alone.found) == ("error", True)
    finally:
        postgres_server.start()


def test_driver_that_is_missing_is_told_with_the_line_that_installs_it(opened, monkeypatch, tmp_path):
    (tmp_path / "acme_store.py").write_text("import no_such_driver\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(plugins.BUILT_IN["online"], "acme", "acme_store:Store [acme]")
    project, _ = opened(online="acme://host")
    found = attempt("online store", lambda: stores.online(project))
    assert (found.level, found.hint) == ("error", "pip install 'gnomon[acme]'")


def test_definitions_are_compared_with_the_registry(shop, opened):
    def look():
        project, _ = opened()
        return stores.applied(project, collect(load_definitions(config.load(shop))))

    assert look().text == "the registry holds the definitions (revision 1)"
    edit(shop / "features.py", 'description="Who buys"', 'description="Who pays"')
    assert look().text == "not applied: 1 change"
    edit(shop / "features.py", "amount > 100", "amount > 200")
    assert (look().level, look().hint) == ("error", "`gnomon plan` tells which")


def test_stores_tell_how_many_tables_they_hold(opened):
    project, _ = opened()
    assert stores.online(project).text.endswith("2 tables")
    assert stores.offline(project).text.endswith("0 tables")


def test_empty_online_store_and_one_that_forgets_are_told(opened):
    project, _ = opened(online="memory://")
    assert (stores.online(project).level, stores.online(project).hint) == (
        "warn",
        "`gnomon materialize` fills it",
    )
    project.online.load("t", [(b"k", b"v")])
    assert "not durable: the values live in the memory of the process" in stores.online(project).text
