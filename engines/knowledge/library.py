"""The verb behind the `knowledge` application: what of a course fits a question.

question ──► words ────────────────────┐
         └─► vector, if a model is there ┴─► index ──► found passages
"""

import asyncio
import logging
from collections.abc import Sequence

from engines.base import EngineState
from engines.errors import EngineError, EngineTimeout, UnknownKnowledge
from engines.knowledge.base import Document, Found, Passage
from engines.knowledge.embedding import BestEmbedder, EmbeddingModel
from engines.knowledge.index import Embedded, KnowledgeIndex
from engines.knowledge.terms import MAX_QUESTION_CHARS, question_words

logger = logging.getLogger(__name__)

QUESTION_LIMIT_S = 0.5
"""For the vector of a question: the learner waits. Beyond it the words alone are searched for."""

WORDS_ALONE = "Passages are found by their words alone, as there is no embedding model."
LATE = f"{{name}} took more than {QUESTION_LIMIT_S:g} s for a question. Use a smaller model."
REMEDY = "Run `ollama pull bge-m3`, or set EMBEDDING_BASE_URL or EMBEDDING_MODEL."


class Library:
    """All bases, searched by words and, with a model, by meaning. Raises `EngineError`."""

    def __init__(self, index: KnowledgeIndex, embedder: BestEmbedder | None = None) -> None:
        self._index = index
        self._embedder = embedder or BestEmbedder(())
        self._unfit: set[tuple[str, str]] = set()
        """Models, and documents that they fail at: until this process ends they are not asked
        again, as they would hold up all others each time."""

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        """The passages that fit best, the best first. Raises `UnknownKnowledge`."""
        question = question[:MAX_QUESTION_CHARS]
        words = await asyncio.to_thread(question_words, question)  # the first loads dictionaries
        if not words:  # it only greets, asks to go on, or is silent
            await self.prepare(kb_id)
            return []
        vector = await self._question_vector(kb_id, question)
        return await asyncio.to_thread(self._index.find, kb_id, words, vector, limit)

    async def put(self, kb_id: str, document: Document, passages: Sequence[Passage]) -> None:
        """Replaces a document of this name. Without a model, or when it fails, the passages are
        kept without vectors. Raises `UnknownKnowledge`, and `UnusableDocument` for a file that is
        there under another name."""
        embedded = await self._passage_vectors(passages)
        await asyncio.to_thread(self._index.put, kb_id, document, passages, embedded)

    async def create(self, kb_id: str) -> None:
        """Does nothing when it exists."""
        await asyncio.to_thread(self._index.create, kb_id)

    async def remove(self, kb_id: str) -> None:
        """Raises `UnknownKnowledge`."""
        await asyncio.to_thread(self._index.remove, kb_id)

    async def bases(self) -> list[str]:
        return await asyncio.to_thread(self._index.bases)

    async def documents(self, kb_id: str) -> list[Document]:
        """By name. Raises `UnknownKnowledge`."""
        return await asyncio.to_thread(self._index.documents, kb_id)

    async def drop(self, kb_id: str, name: str) -> None:
        """Raises `UnknownKnowledge`."""
        await asyncio.to_thread(self._index.drop, kb_id, name)

    async def prepare(self, kb_id: str) -> None:
        """Open a base, so that no question need wait for it. Raises `UnknownKnowledge`."""
        await asyncio.to_thread(self._index.prepare, kb_id)

    async def embed_anew(self, kb_id: str) -> int:
        """Give the documents that have no vectors of the present model theirs, one after another;
        how many that were. Raises `UnknownKnowledge`, `EngineError`."""
        done = 0
        while await self.embed_next(kb_id):
            done += 1
        return done

    async def embed_next(self, kb_id: str) -> bool:
        """The same for one document; False: there is none left, or no model. One that cannot be
        given vectors is left out from then on. Raises `UnknownKnowledge`, and `EngineError` when
        it is the model that fails."""
        model = await self._embedder.current()
        if model is None:
            return False
        for document in await asyncio.to_thread(self._index.unembedded, kb_id, model.name):
            if (model.name, document.id) in self._unfit:
                continue
            if await self._embedded(kb_id, document, model):
                return True
        return False

    async def _embedded(self, kb_id: str, document: Document, model: EmbeddingModel) -> bool:
        try:
            passages = await asyncio.to_thread(self._index.passages, kb_id, document.name)
            vectors = await model.embed([_read(passage) for passage in passages])
            embedded = Embedded(model.name, vectors)
            await asyncio.to_thread(self._index.embed, kb_id, document, embedded)
        except UnknownKnowledge:
            return False  # dropped meanwhile
        except EngineError as error:
            await model.embed(["?"])  # raises as well if it is not the document's fault
            self._unfit.add((model.name, document.id))
            logger.warning("%r is found by words alone: %s", document.name, error.sentence)
            return False
        return True

    async def state(self) -> EngineState:
        """Looks for the model as well: to be called at the start and from time to time, as a search
        does not wait for that."""
        model = await self._embedder.current()
        if model is not None:
            return EngineState(f"words and {model.name}", "ready")
        problem = self._embedder.problem
        return EngineState("words", "degraded", WORDS_ALONE, problem or REMEDY)

    async def close(self) -> None:
        await self._embedder.close()

    async def _question_vector(self, kb_id: str, question: str) -> Embedded | None:
        model = self._embedder.known
        if model is None:
            return None
        if not await asyncio.to_thread(self._index.has_vectors, kb_id, model.name):
            return None
        try:
            async with asyncio.timeout(QUESTION_LIMIT_S):
                vectors = await model.embed([question])
        except TimeoutError:
            self._give_up(model, EngineTimeout(LATE.format(name=model.name)))
            return None
        except EngineError as error:
            self._give_up(model, error)
            return None
        return Embedded(model.name, vectors[0])

    async def _passage_vectors(self, passages: Sequence[Passage]) -> Embedded | None:
        model = await self._embedder.current()
        if model is None or not passages:
            return None
        try:
            return Embedded(model.name, await model.embed([_read(each) for each in passages]))
        except EngineError as error:
            self._give_up(model, error)
            return None

    def _give_up(self, model: EmbeddingModel, error: EngineError) -> None:
        logger.warning("Searching by words alone for a while: %s", error.sentence)
        self._embedder.failed(model, error)


def _read(passage: Passage) -> str:
    """What the model reads of a passage: its heading tells what the text is about."""
    return f"{passage.heading}\n{passage.text}" if passage.heading else passage.text
