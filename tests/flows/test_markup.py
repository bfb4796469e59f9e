"""What notebooks show, and that nothing in it is taken for markup."""

from __future__ import annotations

from html.parser import HTMLParser

import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.insert import Commit
from gnomon.flows.markup import SHOWN, preformatted, table
from gnomon.flows.materialize import GroupReport, Report
from tests.flows.small import HOUR, PLAN, USER, VISITS, T, plan, visit

HOSTILE = "<script>alert('x')</script>&"


class Read(HTMLParser):
    """The tags and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    "html",
    [
        preformatted(HOSTILE),
        table(HOSTILE, [HOSTILE], [[HOSTILE], [None]]),
        Commit(HOSTILE, 1, 1, 1, 0)._repr_html_(),
        Report([GroupReport(HOSTILE)])._repr_html_(),
    ],
)
def test_hostile_text_stays_text(html):
    read = Read(html)
    assert "script" not in read.tags
    assert HOSTILE in read.text


def test_plan_is_shown_as_it_prints(store):
    hostile = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", description=HOSTILE, features=[gn.count()]
    )
    made = store.plan([hostile])
    read = Read(made._repr_html_())
    assert set(read.tags) == {"pre"}
    assert read.text == str(made)
    assert "script" in read.text


def test_answers_are_shown_with_what_is_not_present(store):
    store.insert(PLAN, [plan(1, T - HOUR, HOSTILE)])
    store.materialize()
    answer = store.get_online_features([PLAN], [{"user": 1}, {"user": 2}])
    read = Read(answer._repr_html_())
    assert "script" not in read.tags
    assert HOSTILE in read.text
    assert "None (NOT_FOUND)" in read.text


def test_only_the_first_answers_are_shown(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    store.materialize()
    answer = store.get_online_features([VISITS], [{"user": u} for u in range(3 * SHOWN)])
    assert Read(answer._repr_html_()).tags.count("tr") == 1 + SHOWN


def test_answers_about_nobody_are_shown_too(store):
    assert "0 rows" in store.get_online_features([PLAN], [])._repr_html_()


def test_retrieval_is_shown_without_computing_it(store):
    spine = pl.DataFrame({"user": [1], "event_timestamp": [T]})
    retrieval = store.get_historical_features(spine, ["visits:count_1d", "plan:name"])
    read = Read(retrieval._repr_html_())
    assert "visits@1:count_1d" in read.text
    assert "String" in read.text
    assert "not computed yet" in repr(retrieval)
