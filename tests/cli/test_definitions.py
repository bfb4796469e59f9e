"""plan, apply, list, show, history, revert."""

from __future__ import annotations

import pytest


def change(shop, old: str, new: str) -> None:
    file = shop / "features.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_plan_changes_nothing(gnomon, shop):
    ran = gnomon("plan")
    assert ran.status == 0
    assert "+ feature group      spending@1" in ran.out
    assert gnomon("history").out == "no revisions yet\n"


def test_plan_that_breaks_something_is_a_finding(gnomon, shop):
    assert gnomon("apply").status == 0
    change(shop, "amount > 100", "amount > 200")
    ran = gnomon("plan", "--json")
    assert ran.status == 1
    assert ran.json["ok"] is False
    [changed] = [c for c in ran.json["changes"] if c["action"] == "change"]
    assert "raise `version` to 2" in changed["breaking"][0]["hint"]
    applied = gnomon("apply")
    assert applied.status == 1
    assert applied.err.startswith("error: Feature group `last_order@1`")


def test_wrong_definitions_are_a_finding_and_all_told_at_once(gnomon, shop):
    change(shop, '"category", pl.String', '"catgory", pl.String')
    change(shop, 'gn.sum("items"', 'gn.sum("itms"')
    ran = gnomon("plan")
    assert ran.status == 1
    assert ran.err.count("error: ") == 2
    assert ran.err.count("hint: did you mean") == 2


def test_code_that_fails_is_told_with_its_line(gnomon, shop):
    (shop / "features.py").write_text("import gnomon as gn\n\n1 / 0\n")
    ran = gnomon("apply")
    assert ran.status == 3
    assert f"at {shop / 'features.py'}:3" in ran.err


def test_apply_makes_a_revision_with_its_message(gnomon, shop):
    assert gnomon("apply", "-m", "first features", "--json").json["revision"] == 1
    assert gnomon("apply", "--json").json["revision"] == 1
    [revision] = gnomon("history", "--json").json
    assert revision["message"] == "first features"
    assert {"kind": "group", "name": "spending@1"} in revision["put"]


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_definitions_that_define_nothing_come_with_what_to_do(gnomon, shop, command):
    (shop / "features.py").write_text("import gnomon as gn\n")
    ran = gnomon(command)
    assert ran.status == 0
    assert ran.out.startswith("nothing to change")
    assert ran.err.startswith("hint: `features.py` defines nothing: write entities, sources")
    assert gnomon(command, "--json").json["changes"] == []


def test_definitions_taken_out_are_told_and_no_beginners_hint(gnomon, shop):
    assert gnomon("apply").status == 0
    (shop / "features.py").write_text("import gnomon as gn\n")
    ran = gnomon("plan")
    assert "kept: not in the definitions" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list"], "nothing is registered yet"),
        (["list", "groups"], "no group is registered yet"),
        (["materialize"], "no group is registered yet"),
        (["get", "shop_model", "--key", "customer=c07"], "there is no feature service yet"),
        (["get", "spending:orders_7d", "--key", "customer=c07"], "there is no feature group yet"),
        (["training", "spine.csv", "-f", "shop_model", "-o", "t.parquet"], "there is no feature service yet"),
        (["insert", "clicks", "spine.csv"], "there is no feature group yet"),
        (["show", "clicks"], "there is no object yet"),
    ],
)
def test_project_with_nothing_registered_says_what_to_do(gnomon, shop, arguments, message):
    ran = gnomon(*arguments)
    assert message in ran.out + ran.err
    assert "`gnomon apply`" in ran.err


def test_only_prune_removes(gnomon, shop):
    assert gnomon("apply").status == 0
    (shop / "features.py").write_text(
        "import gnomon as gn\n"
        'customer = gn.Entity("customer", keys={"customer": str}, description="Who buys")\n'
    )
    assert gnomon("apply").status == 0
    assert "spending@1" in gnomon("list").out
    assert "spending@1" in gnomon("plan", "--prune").out
    assert gnomon("apply", "--prune").status == 0
    assert [one["name"] for one in gnomon("list", "--json").json] == ["customer"]


def test_revert_makes_a_new_revision_of_the_old_one(gnomon, shop):
    assert gnomon("apply").status == 0
    assert gnomon("revert", 0).out == "revision 2: the definitions of revision 0\n"
    assert "nothing is registered yet" in gnomon("list").out
    assert gnomon("revert", 1, "--json").json == {"revision": 3, "definitions_of": 1, "changed": True}
    assert gnomon("revert", 1, "--json").json["changed"] is False


@pytest.mark.parametrize("number", [7, -1])
def test_revert_to_what_never_was_is_wrong_use(gnomon, shop, number):
    assert gnomon("revert", "--", number).status == 2


def test_list_shows_all_kinds_or_one(ask):
    kinds = {one["kind"] for one in ask("list", "--json").json}
    assert kinds == {"entity", "source", "group", "on_demand", "service"}
    assert [one["name"] for one in ask("list", "groups", "--json").json] == ["last_order@1", "spending@1"]
    assert ask("list", "entities").out.splitlines()[1].split()[:2] == ["entity", "customer"]


def test_show_tells_features_and_lineage(ask):
    ran = ask("show", "spending")
    assert ran.out.startswith("Feature group spending@1\n")
    assert "amount_mean_30d  Float64       mean(amount) in 30d" in ran.out
    assert "made from:\n  orders.amount\n" in ran.out
    assert "used by:\n  basket_share@1:basket_share\n  shop_model@1\n" in ran.out


def test_show_one_feature_tells_its_own_columns_only(ask):
    [shown] = ask("show", "spending:items_sum_30d", "--json").json
    assert [one["name"] for one in shown["features"]] == ["items_sum_30d"]
    assert "orders.items" in shown["reads"]
    assert "orders.amount" not in shown["reads"]


def test_show_offers_the_nearest_name(ask):
    ran = ask("show", "spendin")
    assert ran.status == 2
    assert "did you mean `spending`?" in ran.err
