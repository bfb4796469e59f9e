"""Updates: pure changes of documents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gnomon.registry.updates import Put, Remove, apply_updates, effective

DOCUMENTS = {("entity", "a"): "1", ("entity", "b"): "2"}
UPDATES = st.lists(
    st.builds(Put, st.just("entity"), st.sampled_from("abc"), st.sampled_from("123"))
    | st.builds(Remove, st.just("entity"), st.sampled_from("abc"))
)


def test_updates_apply_in_their_order_and_leave_the_old_documents():
    updates = [
        Put("entity", "c", "3"),
        Remove("entity", "a"),
        Remove("entity", "zzz"),
        Put("entity", "b", "9"),
    ]
    assert apply_updates(DOCUMENTS, updates) == {("entity", "b"): "9", ("entity", "c"): "3"}
    assert DOCUMENTS == {("entity", "a"): "1", ("entity", "b"): "2"}


@given(UPDATES)
def test_effective_updates_lead_to_the_same_documents_and_each_changes_something(updates):
    fewer = effective(DOCUMENTS, updates)
    assert apply_updates(DOCUMENTS, fewer) == apply_updates(DOCUMENTS, updates)
    assert len({u.address for u in fewer}) == len(fewer)
    for update in fewer:
        assert apply_updates(DOCUMENTS, [update]) != DOCUMENTS
