"""Grants: short texts, roles that hold one another, and groups with and without versions."""

from __future__ import annotations

import pytest

from gnomon.errors import UsageError
from gnomon.flows.access.grants import EVERYTHING, PII, ROLES, Grant, Grants, grants_of


def grants(*texts):
    return Grants.read(texts)


@pytest.mark.parametrize("text", ["reader", "writer:weather", "admin:weather@2", "pii", "pii:customers"])
def test_grant_is_written_as_it_is_read(text):
    assert str(Grant.read(f" {text} ")) == text
    assert Grants.read([text]).texts() == (text,)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "write one of"),
        ("owner", "write one of"),
        ("reader_", "`reader`"),
        ("readr:weather", "`reader:weather`"),
        ("reader:", "reader:airport_weather"),
        ("reader: weather", "reader:airport_weather"),
        ("reader:a:b", "reader:airport_weather"),
        ("Reader", "`reader`"),
    ],
)
def test_what_is_no_grant_is_refused_with_what_would_be(text, hint):
    with pytest.raises(UsageError) as raised:
        Grant.read(text)
    assert hint in raised.value.hint


def test_each_role_holds_those_before_it_and_none_holds_pii():
    for i, held in enumerate(ROLES):
        for j, wanted in enumerate(ROLES):
            assert grants(held).allow(wanted) == (j <= i)
            assert grants(f"{held}:weather").allow(wanted, "weather@1") == (j <= i)
        assert not grants(held).allow(PII, "weather@1")
    assert not grants("pii").allow("reader", "weather@1")
    assert grants("pii:weather").allow(PII, "weather@3")


def test_grant_on_the_project_is_one_on_every_group_and_not_the_other_way_round():
    assert grants("reader").allow("reader", "weather@1")
    assert not grants("reader:weather").allow("reader")
    assert grants("reader:weather").allow_somewhere("reader")
    assert not grants("reader:weather").allow_somewhere("writer")


def test_grant_on_a_name_is_one_on_its_versions_and_one_on_a_version_is_not_on_others():
    assert all(grants("reader:weather").allow("reader", ref) for ref in ("weather", "weather@1", "weather@2"))
    one = grants("reader:weather@2")
    assert [one.allow("reader", ref) for ref in ("weather", "weather@1", "weather@2")] == [False, False, True]
    assert not grants("reader:weather").allow("reader", "weather_2@1")


def test_nothing_is_allowed_without_grants_and_everything_with_all():
    assert not any(Grants().allow(what, "weather@1") for what in (*ROLES, PII))
    assert all(EVERYTHING.allow(what, "weather@1") for what in (*ROLES, PII))
    assert (str(Grants()), str(grants("writer", "reader:b"))) == ("nothing", "reader:b, writer")


def test_equal_grants_are_one_entry_of_a_cache():
    assert len({grants("reader", "pii"), grants("pii", "reader"), grants("reader")}) == 2


def test_roles_for_groups_are_each_for_each():
    made = grants_of(["reader"], ["a", "b@2"], pii=True)
    assert made.texts() == ("pii:a", "pii:b@2", "reader:a", "reader:b@2")
    assert grants_of(["writer"]).texts() == ("writer",)
    with pytest.raises(UsageError, match="`root` is not a role"):
        grants_of(["root"])
