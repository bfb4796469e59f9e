"""Roles: one place decides, and a refusal names what is missing but no group that was not asked for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gnomon.errors import NotFound
from gnomon.flows.access.grants import Grants
from gnomon.serve.access.roles import CLOSED, Denied, Policy, Principal, anybody

POLICY = Policy({"people@1:email"}, {"guessed@1:age"})


def principal(*grants):
    return Principal("key 1", Grants.read(grants), POLICY)


def refused(principal, *arguments, **options) -> Denied:
    with pytest.raises(Denied) as raised:
        principal.require(*arguments, **options)
    assert raised.value.status == 403
    return raised.value


def test_anybody_may_do_everything_where_nobody_is_asked():
    asking = anybody()
    asking.require("admin", [])
    asking.require("read", ["people@1:email"])
    assert asking.open
    assert asking.touched == {"people@1"}
    assert not principal("admin", "pii").open


@pytest.mark.parametrize(
    ("grants", "action", "refs"),
    [
        (["reader"], "read", ["weather@1", "people@1:city"]),
        (["reader:weather"], "read", ["weather@1", "weather@2:temp"]),
        (["writer"], "read", ["weather@1"]),
        (["writer:weather"], "write", ["weather@1"]),
        (["admin"], "write", ["weather@1"]),
        (["admin"], "admin", []),
        (["reader"], "read", []),
        (["reader:people", "pii:people"], "read", ["people@1:email", "people@1"]),
        (["writer:people"], "write", ["people@1"]),
    ],
)
def test_what_is_granted_is_let_through(grants, action, refs):
    principal(*grants).require(action, refs)


@pytest.mark.parametrize(
    ("grants", "action", "refs", "missing"),
    [
        ([], "read", ["weather@1:temp"], "`reader:weather`"),
        (["reader"], "write", ["weather@1"], "`writer:weather`"),
        (["reader:people"], "read", ["weather@1", "people@1:city"], "`reader:weather`"),
        (["reader:weather@2"], "read", ["weather@1"], "`reader:weather`"),
        (["admin"], "read", ["people@1:email"], "`pii:people`"),
        (["reader"], "read", ["people@1"], "`pii:people`"),
        (["pii"], "read", ["people@1:email"], "`reader:people`"),
        (["writer:weather"], "write", [], "`writer`"),
        (["writer"], "admin", [], "`admin`"),
    ],
)
def test_what_is_missing_is_named(grants, action, refs, missing):
    error = refused(principal(*grants), action, refs)
    assert error.what == f"these credentials do not have {missing}"
    assert error.why == f"key 1 lacks {missing.strip('`')}"


def test_output_of_a_function_that_is_tagged_needs_the_grant_though_its_inputs_do_not():
    outputs = ["plain@1:x", "guessed@1:age"]
    error = refused(principal("reader"), "read", ["weather@1:temp"], outputs=outputs)
    assert error.what == "these credentials do not have `pii:guessed`"
    for grant in ("pii", "pii:guessed"):
        principal("reader", grant).require("read", ["weather@1:temp"], outputs=outputs)


def test_everything_may_tell_of_persons_before_definitions_were_read():
    asking = Principal("key 1", Grants.read(["reader"]), CLOSED)
    assert "pii:weather" in refused(asking, "read", ["weather@1:temp"]).what


def test_definition_of_what_is_pii_may_be_read_without_its_values():
    principal("reader").require("read", ["people@1"], values=False)


def test_group_that_was_not_named_is_not_told_but_stands_in_the_log():
    error = refused(principal("reader:weather"), "read", ["weather@1", "secret@1:x"], behind="`m`")
    assert "secret" not in str(error)
    assert error.what == "`m` does not exist, or needs grants that these credentials do not have"
    assert error.why == "key 1 lacks reader:secret"
    told = refused(principal("reader"), "read", ["people@1:email"], behind="`m`")
    assert "`pii:people`" in told.what


@dataclass
class Found:
    """What a question reads."""

    reads: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def missing(*_):
    raise NotFound("Feature service `x` not found", hint="did you mean `secret_model`?")


def told(asking, features, find) -> str:
    with pytest.raises(Denied) as raised:
        asking.reading(features, find)
    return str(raised.value)


def test_features_that_are_named_are_refused_alike_whether_they_exist_or_not():
    asking = principal("reader:weather")
    found = Found(("weather@1:temp",))
    assert asking.reading(["weather:temp"], lambda: found) is found
    exists = told(asking, ["weather:temp", "people:city"], lambda: Found(("people@1:city",)))
    assert exists.replace("people", "…") == told(asking, ["nobody:city"], missing).replace("nobody", "…")


def test_services_are_refused_alike_whether_they_exist_or_not():
    asking = principal("reader:weather")
    exists = told(asking, "model", lambda: Found(("weather@1:temp", "secret@1:x")))
    assert exists == told(asking, "model", missing)
    assert "secret" not in exists


def test_near_names_are_told_only_to_those_who_may_read_everything():
    with pytest.raises(NotFound, match="secret_model"):
        principal("reader").reading("modell", missing)
    with pytest.raises(NotFound) as raised:
        principal("reader:weather").reading(["weather:tmp"], missing)
    assert "secret" not in str(raised.value)


def test_on_demand_output_is_read_with_what_stands_behind_it():
    asking = principal("reader:weather")
    found = Found(("weather@1:temp",), ("share@1:x",))
    assert asking.reading(["share"], lambda: found) is found


def test_lists_can_leave_out_what_may_not_be_seen():
    asking = principal("reader:weather", "writer:demand")
    assert [g for g in ("weather@1", "demand@2", "people@1") if asking.may("read", g)] == [
        "weather@1",
        "demand@2",
    ]
    assert asking.may_somewhere("write")
    assert not asking.may_somewhere("admin")


def test_what_was_asked_about_is_remembered_whether_it_was_denied_or_not():
    asking = principal("reader:weather")
    asking.require("read", ["weather@1:temp"])
    refused(asking, "read", ["people@1:city"])
    assert asking.touched == {"weather@1", "people@1"}
