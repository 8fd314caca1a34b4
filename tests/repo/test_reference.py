import pytest

from scripts import reference


@pytest.mark.parametrize("name", sorted(reference.PAGE_MAKERS))
def test_a_page_that_comes_from_code_is_what_the_code_says_now(name: str):
    committed = (reference.PAGES / name).read_text(encoding="utf-8")

    assert committed == reference.PAGE_MAKERS[name]()
