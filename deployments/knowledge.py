"""Know the course: the knowledge bases as a Serve application, which also reads what is sent."""

import asyncio
import logging
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import EngineSettings, read_engine_settings
from engines.base import EngineState
from engines.knowledge.base import Found
from engines.knowledge.catalogue import WORDS, Catalogue
from engines.knowledge.embedding import (
    BestEmbedder,
    EmbeddingModel,
    OllamaEmbedder,
    OpenAiEmbedder,
    TransformersEmbedder,
)
from engines.knowledge.embedding_progress import Stepwise
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.ingest import Ingest
from engines.knowledge.library import Library
from engines.knowledge.listing import Base, Entry
from engines.knowledge.sample import put_sample
from engines.knowledge.spool import Spool
from foundation.settings import SettingsError

PROJECT = Path(__file__).resolve().parents[1]

logger = logging.getLogger(__name__)

OLLAMA_MODEL = "bge-m3"
"""Small, and knows Chinese as well as English."""

LOOK_INTERVAL_S = 10.0
"""An embedding model that comes up is used after this time."""


BROKEN = "Something went wrong inside; the engine's log says what."
REMEDY = "Restart the engine with `tutor restart`, and report what the log says."


class KnowledgeArgs(Args):
    engine: Literal["auto", "words"] = "auto"
    """`words`: full text alone, whatever models there are."""
    sample: Path | None = None
    """Folder of a course that is put into a base of its name at the first start; a relative path
    starts at the project's folder."""


def choose(args: KnowledgeArgs, settings: EngineSettings) -> list[EmbeddingModel]:
    """The one embedding model that is meant, or none. Not whichever is there: vectors of one model
    are of no use to another one. Raises `SettingsError`."""
    model, url = settings.embedding_model, settings.embedding_base_url
    if args.engine == "words":
        return []
    if url:
        if not model:
            raise SettingsError("EMBEDDING_MODEL: name the model of EMBEDDING_BASE_URL")
        key = settings.embedding_api_key
        base = url if urlsplit(url).path.strip("/") else f"{url}/v1"
        return [OpenAiEmbedder(base, key.get_secret_value() if key else "", model)]
    if model and Path(model).is_dir():
        return [TransformersEmbedder(Path(model), "cuda" if args.gpu else "cpu")]
    return [OllamaEmbedder(settings.ollama_base_url, model or OLLAMA_MODEL)]


class KnowledgeDeployment:
    def __init__(self, args: KnowledgeArgs) -> None:
        self._settings = settings = read_engine_settings()
        self._sample = args.sample
        embedder = BestEmbedder([Stepwise(model) for model in choose(args, settings)])
        library = Library(KnowledgeIndex(settings.knowledge), embedder)
        spool = Spool(settings.knowledge_uploads)
        self._catalogue = Catalogue(settings.knowledge, library, spool, embedder)
        self._ingest = Ingest(library, spool)
        self._state = EngineState(WORDS, "starting", "The knowledge bases are being looked at.")
        self._running: asyncio.Task[None] | None = None

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        return await self._catalogue.search(kb_id, question, limit)

    async def bases(self) -> list[Base]:
        return await self._catalogue.bases()

    async def create(self, kb_id: str) -> Base:
        return await self._catalogue.create(kb_id)

    async def remove(self, kb_id: str) -> None:
        await self._catalogue.remove(kb_id)

    async def documents(self, kb_id: str) -> list[Entry]:
        return await self._catalogue.documents(kb_id)

    async def document(self, kb_id: str, name: str) -> Entry:
        return await self._catalogue.document(kb_id, name)

    async def drop(self, kb_id: str, name: str) -> None:
        await self._catalogue.drop(kb_id, name)

    async def state(self) -> EngineState:
        return self._state

    async def check_health(self) -> None:
        """Serve calls it from the start on, so documents are read before anybody asks."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="knowledge")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._put_sample(), name="knowledge-sample")
            tasks.create_task(self._watch(), name="knowledge-watch")
            tasks.create_task(self._ingest.work(), name="knowledge-ingest")

    async def _put_sample(self) -> None:
        if self._sample is not None:
            bases, uploads = self._settings.knowledge, self._settings.knowledge_uploads
            await asyncio.to_thread(put_sample, PROJECT / self._sample, bases, uploads)

    async def _watch(self) -> None:
        while True:
            try:
                self._state = await self._catalogue.state()
            except Exception as error:  # else nothing would be read any more, and nobody told
                logger.error("The knowledge bases cannot be looked at", exc_info=error)
                self._state = EngineState(WORDS, "unavailable", BROKEN, REMEDY)
            await asyncio.sleep(LOOK_INTERVAL_S)


def build(args: KnowledgeArgs) -> Application:
    choose(args, read_engine_settings())  # wrong settings stop the deployment here
    return application("Knowledge", KnowledgeDeployment, args, gpu=args.gpu)
