"""Documents that are given vectors, when they are sent and afterwards."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engines.knowledge.base import Block, Extracted, Passage, Vectors
from engines.knowledge.catalogue import WORDS
from engines.knowledge.embedding import BATCH_TEXTS, BestEmbedder
from engines.knowledge.embedding_progress import Stepwise
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.ingest import INDEXING, READING
from engines.knowledge.library import Library
from engines.knowledge.spool import State, Taken
from tests.engines.knowledge.test_ingest import LIMIT_S, quick, says, shop_at
from tests.engines.knowledge.test_library import Topics, document
from tests.running import eventually

__all__ = ["quick"]


async def test_a_model_that_comes_up_later_gives_its_vectors_to_what_is_there(
    tmp_path: Path,
) -> None:
    model = Topics()
    shop = shop_at(tmp_path, BestEmbedder([model]))
    model.failing = True
    async with shop.working(says("Glaciers shape valleys.")):
        await shop.send("a.txt", b"x")
        await shop.settled("a.txt")
        assert (await shop.catalogue.state()).engine == WORDS
    assert (await shop.catalogue.bases())[0].embedder is None
    model.failing = False
    later = shop_at(tmp_path, BestEmbedder([model]))
    async with later.working():
        await later.embedded_by("topics")
    assert (await later.catalogue.state()).engine == "full text and topics"


async def test_vectors_for_what_is_there_give_way_to_what_is_sent(tmp_path: Path) -> None:
    model = Topics()
    shop = shop_at(tmp_path, BestEmbedder([model]))
    await shop.catalogue.create("physics")
    for number in range(3):
        passage = Passage(f"Old {number}.", None, "", 0)
        await Library(KnowledgeIndex(str(tmp_path))).put(
            "physics", document(f"{number}.md"), [passage]
        )
    embed = model.embed

    async def embed_and_send(texts: Sequence[str]) -> Vectors:
        if texts == ["Old 0."]:
            await shop.send("new.md", b"x")
        return await embed(texts)

    model.embed = embed_and_send  # type: ignore[method-assign]  # the real one is called as well
    async with shop.working(says("Just sent.")):
        await shop.embedded_by("topics")
        await eventually(lambda: "Old 2." in model.asked, LIMIT_S)
    told = [text for text in model.asked if text != "?"]
    assert told == ["Old 0.", "Just sent.", "Old 1.", "Old 2."]


async def test_how_far_the_vectors_are_is_told(tmp_path: Path) -> None:
    model = Topics()
    shop = shop_at(tmp_path, BestEmbedder([Stepwise(model)]))
    told: list[float] = []
    tell = shop.spool.tell

    def noted(taken: Taken, state: State, progress: float) -> None:
        told.append(progress)
        tell(taken, state, progress)

    shop.spool.tell = noted  # type: ignore[method-assign]  # the real one is called as well
    sections = (Block(f"Number {i}.", headings=(str(i),)) for i in range(3 * BATCH_TEXTS))
    extracted = Extracted(tuple(sections), 0)
    async with shop.working(lambda file, name: extracted):
        await shop.send("a.txt", b"x")
        assert (await shop.settled("a.txt")).passages == 3 * BATCH_TEXTS
    steps = [READING, INDEXING, *(INDEXING + (1 - INDEXING) * part / 3 for part in (1, 2, 3))]
    assert told == pytest.approx(steps)


async def test_one_removed_while_it_is_embedded_costs_no_more(tmp_path: Path) -> None:
    model = Topics()
    shop = shop_at(tmp_path, BestEmbedder([Stepwise(model)]))
    embed = model.embed

    async def embed_and_drop(texts: Sequence[str]) -> Vectors:
        if len(texts) == BATCH_TEXTS:
            shop.spool.drop("physics", "a.txt")
        return await embed(texts)

    model.embed = embed_and_drop  # type: ignore[method-assign]  # the real one is called as well
    sections = (Block(f"Number {i}.", headings=(str(i),)) for i in range(3 * BATCH_TEXTS))
    extracted = Extracted(tuple(sections), 0)
    short = Extracted((Block("Glaciers shape valleys."),), 0)
    async with shop.working(lambda file, name: extracted if name == "a.txt" else short):
        await shop.send("a.txt", b"x")
        await shop.send("b.txt", b"y", "other")
        assert (await shop.settled("b.txt", "other")).state == "ready"
    assert sum(asked.startswith("Number") for asked in map(_last_line, model.asked)) == BATCH_TEXTS
    assert await shop.catalogue.documents("physics") == []


def _last_line(text: str) -> str:
    return text.splitlines()[-1]
