"""The sample course, and the questions that are asked about it."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from engines.language import language_of
from tests.course import chapters, course, search

QUESTIONS = Path(__file__).parent.parent / "benchmarks" / "questions.yaml"
LEAST_QUESTIONS = 80
LEAST_OUTSIDE = 20
LEAST_SECTIONS = 25


def rows(part: str, language: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = yaml.safe_load(QUESTIONS.read_text("utf-8"))[part][language]
    return told


def test_the_course_has_about_as_much_in_both_languages() -> None:
    count = Counter(language_of(found.passage.text) for found in course())
    assert min(count["en"], count["zh"]) >= LEAST_SECTIONS
    assert len(set(chapters())) == len(chapters())
    for found in course():
        assert language_of(found.document.removesuffix(".md")) == language_of(found.passage.text)


def test_the_questions_are_enough_and_about_sections_that_are_there() -> None:
    inside = [row for language in ("en", "zh") for row in rows("inside", language)]
    outside = [row for language in ("en", "zh") for row in rows("outside", language)]
    assert len(inside) + len(outside) >= LEAST_QUESTIONS
    assert len(outside) >= LEAST_OUTSIDE
    assert len({row["question"] for row in inside + outside}) == len(inside + outside)
    for row in inside:
        assert row["sections"] and set(row["sections"]) <= set(chapters())
        assert row["style"] in {"direct", "paraphrased", "typing", "spoken", "mixed"}
    assert not any("sections" in row for row in outside)


def test_a_quarter_is_held_out_in_each_part() -> None:
    for part in ("inside", "outside"):
        for language in ("en", "zh"):
            told = rows(part, language)
            held_out = sum(row.get("held_out", False) for row in told)
            assert 0.2 * len(told) <= held_out <= 0.3 * len(told)


def test_the_plain_search_finds_a_section_by_its_words() -> None:
    assert search("What is fog?")[0].passage.heading == "Weather › Fog"
    assert search("zebra") == []
