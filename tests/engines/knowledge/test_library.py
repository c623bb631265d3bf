"""The verb behind the `knowledge` application, over a real index."""

import asyncio
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engines.errors import EngineError, EngineUnavailable, UnknownKnowledge, UnusableDocument
from engines.knowledge import library as library_module
from engines.knowledge.base import Document, Passage, Search, Vectors
from engines.knowledge.embedding import BestEmbedder
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.library import Library
from engines.knowledge.terms import Word, question_words

TOPICS = {"ice": 0, "frozen": 0, "glacier": 0, "fire": 1, "flame": 1}


class Topics:
    """What means the same has the same direction, whatever it is called."""

    name = "topics"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing = False
        self.hanging = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        if self.hanging:
            await asyncio.Event().wait()
        if self.failing:
            raise EngineUnavailable("It is gone. Start it.")
        rows = np.full((len(texts), 3), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            known = [topic for word, topic in TOPICS.items() if word in text.lower()]
            row[known[0] if known else 2] = 1
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    async def close(self) -> None:
        self.asked.append("closed")


def document(name: str, sha256: str = "") -> Document:
    return Document(uuid.uuid4().hex, name, sha256 or uuid.uuid4().hex, 1, 0, 1, (), 1.0)


PASSAGES = [
    Passage("Glaciers shape valleys.", None, "", 0),
    *(Passage(f"Something else {number}.", None, "", number) for number in range(1, 40)),
]


@pytest.fixture
def index(tmp_path: Path) -> KnowledgeIndex:
    index = KnowledgeIndex(str(tmp_path))
    index.create("course")
    return index


async def found(library: Search, question: str) -> list[str]:
    return [each.passage.text for each in await library.search("course", question)]


async def test_finds_by_words_without_a_model(index: KnowledgeIndex) -> None:
    library = Library(index)
    await library.put("course", document("a.md"), PASSAGES)
    assert await found(library, "What do glaciers do?") == ["Glaciers shape valleys."]
    assert await found(library, "What is frozen?") == []
    state = await library.state()
    assert (state.engine, state.state) == ("words", "degraded")
    assert state.reason
    assert state.remedy
    await library.close()


async def test_finds_by_meaning_with_a_model(index: KnowledgeIndex) -> None:
    library = Library(index, BestEmbedder([Topics()]))
    state = await library.state()
    assert (state.engine, state.state) == ("words and topics", "ready")
    await library.put("course", document("a.md"), PASSAGES)
    assert await found(library, "What is frozen?") == ["Glaciers shape valleys."]


async def test_a_question_about_nothing_finds_nothing_and_asks_no_model(
    index: KnowledgeIndex,
) -> None:
    topics = Topics()
    library = Library(index, BestEmbedder([topics]))
    await library.put("course", document("a.md"), PASSAGES)
    before = len(topics.asked)
    for question in ("", "   ", "hello", "你好", "what is it?"):
        assert await found(library, question) == []
    assert len(topics.asked) == before
    with pytest.raises(UnknownKnowledge):
        await library.search("other", "hello")


async def test_a_model_that_fails_leaves_the_words_and_is_told(index: KnowledgeIndex) -> None:
    topics = Topics()
    library = Library(index, BestEmbedder([topics]))
    await library.put("course", document("a.md"), PASSAGES)
    topics.failing = True
    assert await found(library, "What is a frozen glacier?") == ["Glaciers shape valleys."]
    state = await library.state()
    assert (state.state, state.remedy) == ("degraded", "It is gone. Start it.")


async def test_a_model_that_is_too_slow_for_a_question_is_not_waited_for(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_module, "QUESTION_LIMIT_S", 0.02)
    topics = Topics()
    library = Library(index, BestEmbedder([topics]))
    await library.put("course", document("a.md"), PASSAGES)
    topics.hanging = True
    assert await found(library, "What is a frozen glacier?") == ["Glaciers shape valleys."]
    assert await found(library, "What is a frozen glacier?") == ["Glaciers shape valleys."]
    assert topics.asked.count("What is a frozen glacier?") == 1  # it is left alone for a while


async def test_a_model_is_not_asked_for_a_base_without_its_vectors(index: KnowledgeIndex) -> None:
    await Library(index).put("course", document("a.md"), PASSAGES)
    topics = Topics()
    library = Library(index, BestEmbedder([topics]))
    await library.state()
    assert await found(library, "glacier") == ["Glaciers shape valleys."]
    assert topics.asked == ["?"]


async def test_documents_are_embedded_when_a_model_has_come(index: KnowledgeIndex) -> None:
    topics = Topics()
    topics.failing = True
    library = Library(index, BestEmbedder([topics]))
    assert await library.embed_anew("course") == 0
    await library.put("course", document("a.md"), PASSAGES)
    await library.put("course", document("b.md"), [Passage("x", None, "Fire", 0)])
    topics.failing = False
    later = Library(index, BestEmbedder([topics]))
    assert await later.embed_anew("course") == 2
    assert await later.embed_anew("course") == 0
    assert "Fire\nx" in topics.asked
    assert await found(later, "What is frozen?") == ["Glaciers shape valleys."]


async def test_a_model_that_fails_while_embedding_anew_says_so(index: KnowledgeIndex) -> None:
    topics = Topics()
    await Library(index).put("course", document("a.md"), PASSAGES)
    library = Library(index, BestEmbedder([topics]))
    await library.state()
    topics.failing = True
    with pytest.raises(EngineError, match="It is gone"):
        await library.embed_anew("course")


async def test_holds_bases_and_documents(index: KnowledgeIndex) -> None:
    library = Library(index)
    await library.create("other")
    assert await library.bases() == ["course", "other"]
    put = document("a.md", "content")
    await library.put("course", put, PASSAGES)
    with pytest.raises(UnusableDocument):
        await library.put("course", document("b.md", "content"), PASSAGES)
    assert await library.documents("course") == [put]
    await library.drop("course", "a.md")
    assert await library.documents("course") == []
    await library.remove("course")
    assert await library.bases() == ["other"]
    with pytest.raises(UnknownKnowledge):
        await library.prepare("course")


async def test_closes_its_models(index: KnowledgeIndex) -> None:
    topics = Topics()
    await Library(index, BestEmbedder([topics])).close()
    assert topics.asked == ["closed"]


async def test_a_document_that_the_model_fails_at_holds_up_no_other(index: KnowledgeIndex) -> None:
    class Picky(Topics):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            vectors = await super().embed(texts)
            if "poison" in texts:
                raise EngineUnavailable("500: not a number.")
            return vectors

    for name, text in (("a.md", "poison"), ("b.md", "ice"), ("c.md", "fire")):
        await Library(index).put("course", document(name), [Passage(text, None, "", 0)])
    model = Picky()
    library = Library(index, BestEmbedder([model]))
    assert await library.embed_anew("course") == 2
    assert [each.name for each in index.unembedded("course", "topics")] == ["a.md"]
    assert await library.embed_anew("course") == 0
    assert model.asked.count("poison") == 1


async def test_the_dictionaries_are_not_loaded_on_the_event_loop(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def words(question: str) -> tuple[Word, ...]:
        threads.append(threading.get_ident())
        return question_words(question)

    monkeypatch.setattr(library_module, "question_words", words)
    assert await found(Library(index), "What do glaciers do?") == []
    assert threads != [threading.get_ident()]
