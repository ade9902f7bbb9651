"""The word list's check: what it finds, what it leaves, and that the glossary can be read."""

from __future__ import annotations

import pytest

from tools.words import GLOSSARY, ROOT, Finding, WordList, read_list, tracked

WORDS = WordList(
    words=(("heard", "received"), ("second opinion", "venue-reported taker ratio")),
    names=(("Line", "FeedConnection"), ("tells", "is_market_data")),
    kept=(("", "heard_symbols"), ("CHANGELOG.md", "heard_symbol_count")),
    untranslated=("ingestion/live", "ingestion/recent.py"),
)


def found(text: str, path: str = "ingestion/archive.py") -> list[tuple[int, str]]:
    return [(finding.line, finding.found) for finding in WORDS.findings(path, text)]


@pytest.mark.parametrize(
    "text",
    [
        "# what was heard",
        '"""Heard on the feed."""',
        "heard_at = now",
        "class HeardMessage: ...",
        "def test_what_is_heard_is_kept(): ...",
        "select heardAt from feed",
    ],
)
def test_a_word_is_found_in_comments_strings_and_names(text: str) -> None:
    assert found(text) == [(1, "heard")]


def test_a_phrase_is_found_across_lines_and_in_names() -> None:
    text = "# gives a second\n# opinion\nsecond_opinion_ratio = 1"
    assert found(text) == [(1, "second opinion"), (3, "second opinion")]


def test_a_part_of_another_word_is_no_finding() -> None:
    assert found("sheard = unheardof") == []


def test_names_are_found_where_they_are_defined_and_nowhere_else() -> None:
    text = "class Line:\n    def tells(self): ...\nclass FeedLine: ...\nLine 3 of a file\nclass Baseline: ..."
    assert found(text) == [(1, "Line"), (2, "tells"), (3, "FeedLine")]


def test_text_on_disk_stays_everywhere_and_a_former_name_only_where_it_is_named() -> None:
    assert found("heard_symbols") == []
    assert found("heard_symbol_count", "CHANGELOG.md") == []
    assert found("heard_symbol_count") == [(1, "heard")]


def test_a_path_that_is_not_translated_yet_covers_what_lies_below_it() -> None:
    assert WORDS.is_untranslated("ingestion/live/spool.py")
    assert WORDS.is_untranslated("ingestion/recent.py")
    assert not WORDS.is_untranslated("ingestion/livelier.py")


def test_a_finding_names_place_word_and_replacement() -> None:
    assert str(Finding("a.py", 3, "heard", "received")) == "a.py:3: `heard`; write: received"


def test_the_glossary_holds_the_list() -> None:
    listed = read_list((ROOT / GLOSSARY).read_text())
    assert ("heard", "received, subscribed, covered") in listed.words
    assert ("Line", "FeedConnection") in listed.names
    assert ("", "heard_symbols") in listed.kept


def test_sources_and_documents_are_searched() -> None:
    paths = set(tracked())
    assert {"README.md", "Makefile", "ingestion/recent.py", "dbt_project/dbt_project.yml"} <= paths
    assert GLOSSARY not in paths
