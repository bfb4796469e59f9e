"""The reference says what the code says."""

from __future__ import annotations

import pytest

from docs import generate


@pytest.mark.parametrize("name", generate.PAGES)
def test_page_is_as_the_code_makes_it(name):
    page = generate.FOLDER / name
    assert page.read_text(encoding="utf-8") == generate.text(name), "run `python -m docs.generate`"


def test_every_page_of_the_reference_is_made_from_code():
    assert {page.name for page in generate.FOLDER.iterdir()} == set(generate.PAGES)
