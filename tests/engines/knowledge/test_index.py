"""What the bases hold, and what is found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.errors import UnknownKnowledge, UnusableDocument
from engines.knowledge import index as index_module
from engines.knowledge import index_open
from engines.knowledge.base import Passage
from engines.knowledge.index import Embedded, KnowledgeIndex
from engines.knowledge.index_shelf import Shelf
from tests.engines.knowledge.bases import (
    WATER,
    WATER_CHINESE,
    about_water,
    ask,
    document,
    passages,
    texts,
)

STRANGE_IDS = (
    "../../x",
    "班级/物理 1",
    "/etc/passwd",
    ".",
    "..",
    "a",
    "A",
    "é",
    "e\u0301",
    "x" * 128,
)


@pytest.fixture
def index(tmp_path: Path) -> KnowledgeIndex:
    return about_water(str(tmp_path / "knowledge"))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("At how many degrees does water boil?", WATER[0]),
        ("Why does ice float?", WATER[1]),
        ("How are clouds formed?", WATER[2]),
        ("how do clowds form", WATER[2]),
        ("水什么时候沸腾？", WATER_CHINESE[0]),
        ("冰为什么浮着？", WATER_CHINESE[1]),
        ("雲是怎麼形成的", WATER_CHINESE[2]),
    ],
)
def test_finds_in_english_and_chinese(index: KnowledgeIndex, question: str, answer: str) -> None:
    found = ask(index, "water", question)
    assert found[0].passage.text == answer
    assert found[0].score > 0.5


@pytest.mark.parametrize("question", ["Who composed the Moonlight Sonata?", "怎么做红烧肉？"])
def test_what_is_not_there_scores_low(index: KnowledgeIndex, question: str) -> None:
    assert all(found.score < 0.3 for found in ask(index, "water", question))


def test_tells_where_it_was_found(index: KnowledgeIndex) -> None:
    index.put("water", document("film.pptx"), passages(["x", "A saxophone"], "Music › Brass"))
    (found,) = ask(index, "water", "saxophone")
    assert (found.kb_id, found.document) == ("water", "film.pptx")
    assert found.passage == Passage("A saxophone", 2, "Music › Brass", 1)


def test_a_heading_is_found_as_well(index: KnowledgeIndex) -> None:
    index.put("water", document("sea.md"), passages(["They come twice a day."], "Tides"))
    assert texts(ask(index, "water", "What are tides?")) == ["They come twice a day."]


def test_no_more_than_wanted_and_none_of_an_empty_base(index: KnowledgeIndex) -> None:
    assert len(ask(index, "water", "water", limit=1)) == 1
    index.create("empty")
    assert ask(index, "empty", "water") == []
    index.put("empty", document("nothing.pdf"), [])
    assert ask(index, "empty", "water") == []


def test_documents_are_told_as_they_were_put(index: KnowledgeIndex) -> None:
    put = document("a film.pptx")
    index.put("water", put, passages(["x"]))
    assert index.documents("water")[0] == put
    assert [each.name for each in index.documents("water")] == ["a film.pptx", "water.md", "水.md"]
    assert index.passages("water", "water.md") == tuple(passages(WATER))


def test_a_document_is_replaced_as_a_whole(index: KnowledgeIndex) -> None:
    assert texts(ask(index, "water", "ice"))
    new = document("water.md")
    index.put("water", new, passages(["Steam is hot."]))
    assert ask(index, "water", "boils clouds ice") == []
    assert texts(ask(index, "water", "steam")) == ["Steam is hot."]
    assert new in index.documents("water")
    assert len(index.documents("water")) == 2


def test_scores_do_not_change_by_replacing(index: KnowledgeIndex) -> None:
    before = ask(index, "water", "Why does ice float?")
    for _ in range(5):
        index.put("water", document("water.md"), passages(WATER))
        after = ask(index, "water", "Why does ice float?")
    assert [each.score for each in after] == pytest.approx([each.score for each in before])


def test_the_same_file_under_another_name_is_refused_with_the_name_it_has(
    index: KnowledgeIndex,
) -> None:
    index.put("water", document("one.md", "content"), passages(["one"]))
    with pytest.raises(UnusableDocument, match=r"already there as 'one\.md'"):
        index.put("water", document("two.md", "content"), passages(["two"]))
    index.put("water", document("one.md", "content"), passages(["one again"]))
    assert texts(ask(index, "water", "one")) == []  # a word of questions
    assert index.passages("water", "one.md")[0].text == "one again"
    index.create("other")
    index.put("other", document("two.md", "content"), passages(["two"]))


def test_the_same_file_put_twice_at_once_is_kept_once(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_blob = Shelf.put_blob

    def second(shelf: Shelf, kb_id: str, blob: str, data: bytes) -> None:
        monkeypatch.undo()
        put_blob(shelf, kb_id, blob, data)
        index.put("water", document("first.md", "content"), passages(["first"]))

    monkeypatch.setattr(Shelf, "put_blob", second)
    with pytest.raises(UnusableDocument, match=r"already there as 'first\.md'"):
        index.put("water", document("second.md", "content"), passages(["second"]))
    assert len(index.documents("water")) == 3


def test_what_is_dropped_is_found_no_more(index: KnowledgeIndex) -> None:
    index.drop("water", "water.md")
    assert ask(index, "water", "ice") == []
    with pytest.raises(UnknownKnowledge, match=r"no document 'water\.md'"):
        index.drop("water", "water.md")
    with pytest.raises(UnknownKnowledge, match=r"no document 'water\.md'"):
        index.passages("water", "water.md")


def test_what_is_removed_is_gone(index: KnowledgeIndex, tmp_path: Path) -> None:
    assert ask(index, "water", "ice")
    index.remove("water")
    assert index.bases() == []
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 1  # that it is gone
    for used in (
        lambda: ask(index, "water", "ice"),
        lambda: index.documents("water"),
        lambda: index.drop("water", "water.md"),
        lambda: index.put("water", document("late.md"), passages(["late"])),
        lambda: index.remove("water"),
    ):
        with pytest.raises(UnknownKnowledge, match="no knowledge base 'water'"):
            used()
    index.create("water")
    assert index.documents("water") == []
    assert ask(index, "water", "ice") == []


def test_what_was_never_there_is_unknown(index: KnowledgeIndex) -> None:
    with pytest.raises(UnknownKnowledge, match="no knowledge base 'fire'"):
        ask(index, "fire", "ice")
    index.create("fire")
    assert ask(index, "fire", "ice") == []


def test_ids_of_any_kind_stay_apart_and_inside(tmp_path: Path) -> None:
    index = KnowledgeIndex(str(tmp_path / "knowledge"))
    for number, kb_id in enumerate(STRANGE_IDS):
        index.create(kb_id)
        index.put(kb_id, document("a.md"), passages([f"secret{number} word"]))
    assert index.bases() == sorted(STRANGE_IDS)
    for number, kb_id in enumerate(STRANGE_IDS):
        assert texts(ask(index, kb_id, "word")) == [f"secret{number} word"]
    assert [path.name for path in tmp_path.iterdir()] == ["knowledge"]
    assert [path.name for path in (tmp_path / "knowledge").iterdir()] == ["bases"]


def test_creating_twice_keeps_what_is_there(index: KnowledgeIndex) -> None:
    index.create("water")
    assert len(index.documents("water")) == 2


# Bases that are held open


def test_bases_searched_longest_ago_are_closed_and_opened_again(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "OPEN_PASSAGES", 7)
    for kb_id in ("second", "third"):
        index.create(kb_id)
        index.put(kb_id, document("water.md"), passages(WATER))
    for kb_id in ("water", "second", "third", "water"):
        assert texts(ask(index, kb_id, "clouds"))[0] == WATER[2]
    assert list(index._open) == ["water"]


def test_object_storage_is_asked_for_versions_only_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = KnowledgeIndex("memory:///")
    index.create("water")
    index.put("water", document("water.md"), passages(WATER))
    assert ask(index, "water", "clouds")
    index.put("water", document("water.md"), passages(["A saxophone."]))
    assert ask(index, "water", "saxophone") == []
    monkeypatch.setattr(index_module, "REMOTE_FRESH_S", 0.0)
    assert ask(index, "water", "saxophone")
    index.remove("water")
    assert index.bases() == []


# Vectors


def directions(*angles: float) -> Embedded:
    rows = [[np.cos(angle), np.sin(angle)] for angle in angles]
    return Embedded("model", np.array(rows, np.float32))


def course(index: KnowledgeIndex, embedded: Embedded | None) -> list[Passage]:
    """Forty passages about nothing, one of which means something."""
    index.create("course")
    told = passages([f"word{number}" for number in range(40)])
    index.put("course", document("course.md"), told, embedded)
    return told


def test_what_means_the_same_is_found_without_a_common_word(index: KnowledgeIndex) -> None:
    told = course(index, directions(*[1.5] * 39, 0.0))
    (found,) = index.find("course", [("nothing",)], question_vector(0.01), 3)
    assert found.passage == told[39]
    assert 0.5 < found.score < 1
    (both,) = index.find("course", [("word39",)], question_vector(0.01), 3)
    assert both.score > found.score


def question_vector(angle: float, embedder: str = "model") -> Embedded:
    return Embedded(embedder, directions(angle).vectors[0])


def test_vectors_of_another_model_are_not_compared(index: KnowledgeIndex) -> None:
    course(index, directions(*[1.5] * 39, 0.0))
    assert index.find("course", [("nothing",)], question_vector(0.01, "other"), 3) == []
    three = Embedded("model", np.array([1, 0, 0], np.float32))
    assert index.find("course", [("nothing",)], three, 3) == []


def test_documents_without_vectors_are_told_and_can_be_given_theirs(index: KnowledgeIndex) -> None:
    course(index, None)
    (lacking,) = index.unembedded("course", "model")
    assert not index.has_vectors("course", "model")
    index.embed("course", lacking, directions(*[1.5] * 39, 0.0))
    assert index.unembedded("course", "model") == []
    assert index.has_vectors("course", "model")
    assert not index.has_vectors("course", "other")
    assert index.documents("course") == [lacking]
    assert len(index.find("course", [("nothing",)], question_vector(0.01), 3)) == 1


def test_a_document_replaced_while_it_was_embedded_keeps_its_own(index: KnowledgeIndex) -> None:
    course(index, None)
    (lacking,) = index.unembedded("course", "model")
    index.put("course", document("course.md"), passages(["new"]))
    index.embed("course", lacking, directions(0.0))
    assert index.unembedded("course", "model") == index.documents("course") != [lacking]
    assert texts(ask(index, "course", "new")) == ["new"]


# Whatever is put


ids = st.text(st.characters(exclude_categories=["Cc"]), min_size=1, max_size=128)
any_text = st.text(max_size=60)
steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "drop"]),
        st.sampled_from(["one", "../two"]),
        st.sampled_from(["a.md", "b.md"]),
        st.lists(any_text, max_size=3),
    ),
    max_size=12,
)


@given(ids, any_text, any_text, st.none() | st.integers(1, 9))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_put_comes_back(
    tmp_path: Path, kb_id: str, text: str, heading: str, page: int | None
) -> None:
    index = KnowledgeIndex(str(tmp_path / "any"))
    index.create(kb_id)
    put, told = document("a.md"), (Passage(text, page, heading, 0),)
    index.put(kb_id, put, told)
    assert index.documents(kb_id) == [put]
    assert index.passages(kb_id, "a.md") == told
    for found in ask(index, kb_id, text):
        assert (found.passage, found.kb_id) == (told[0], kb_id)
        assert 0 <= found.score <= 1 + 1e-9
    assert kb_id in index.bases()


@given(steps)
@settings(deadline=None, max_examples=30)
def test_another_base_s_content_is_never_found(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[str, str, str, list[str]]]
) -> None:
    """Each base finds exactly what a dictionary would hold, however its documents come and go."""
    index = KnowledgeIndex(str(tmp_path_factory.mktemp("any")))
    held: dict[tuple[str, str], list[Passage]] = {}
    for kb_id in ("one", "../two"):
        index.create(kb_id)
    for number, (verb, kb_id, name, said) in enumerate(taken):
        if verb == "put":
            told = passages([f"{text} mark{number}" for text in said])
            index.put(kb_id, document(name), told)
            held[kb_id, name] = told
        elif (kb_id, name) in held:
            index.drop(kb_id, name)
            del held[kb_id, name]
        for asked in ("one", "../two"):
            mine = {p.text for (kb, _), told in held.items() if kb == asked for p in told}
            for earlier in range(number + 1):
                wanted = {text for text in mine if text.endswith(f"mark{earlier}")}
                got = set(texts(index.find(asked, [(f"mark{earlier}",)], None, 3)))
                assert got <= wanted
                assert bool(got) == bool(wanted)


def test_not_every_base_is_held_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "OPEN_BASES", 3)
    index = KnowledgeIndex(str(tmp_path))
    for number in range(6):
        index.create(str(number))
        index.put(str(number), document("a.md"), passages([f"Note{number} of it."]))
    for number in (0, 1, 2, 3, 4, 5, 0):
        assert texts(ask(index, str(number), f"note{number}")) == [f"Note{number} of it."]
    assert list(index._open) == ["4", "5", "0"]


def test_a_question_of_nothing_but_unknown_words_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def near(term: str, words: Sequence[str]) -> list[str]:
        compared.append(term)
        return []

    monkeypatch.setattr(index_open, "_near_spellings", near)
    index = about_water(str(tmp_path))
    unknown = [f"wat{first}{second}" for first in "abcdefgh" for second in "mnpqrst"]
    assert index.find("water", [(word,) for word in unknown], None, 3) == []
    assert compared == unknown[: index_open.MAX_MISTYPED]
