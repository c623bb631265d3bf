"""The gateway application: `serve run configs/serve.yaml` begins here.

    browser ── REST, WebSocket ──► Gateway ──handle──► asr      hear
                                     │  ├────handle──► llm-…    think   one for each tutor model
                                     │  ├────handle──► tts      speak
                                     │  ├────handle──► avatar   show
                                     │  └────handle──► knowledge  what the course says
                                     └── SQL: sessions, messages

Every box is a Serve application of its own, found by name: changing one restarts none of the
others, and the sockets live on. The gateway's replicas are fixed in number, because scaling them
down would cut open sockets.
"""

from pathlib import Path

import cv2
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application

from deployments.backend import Backend
from deployments.controller import Controller
from deployments.graph import Graph
from deployments.listening import listening
from deployments.preparation import RemotePreparation
from deployments.remote import RemoteAsr, RemoteAvatar, RemoteKnowledge, RemoteTts
from deployments.resources import application
from deployments.tutor_models import TutorModels
from engines.base import EngineState
from engines.vad.silero import SileroVad
from serve_app.api import create_api
from serve_app.faces import FaceNames, Wardrobe
from serve_app.services import Engines
from serve_app.settings import Settings, read_settings
from serve_app.tutors import DEFAULT_LLM_APP, Tutors, read_tutors

PROJECT = Path(__file__).resolve().parents[1]


class AppArgs(BaseModel):
    """Arguments of the gateway in serve.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    tutors: Path = Path("configs/tutors.yaml")
    """Who the tutors are; a relative path starts at the project's folder."""


@serve.ingress()
class Gateway:
    """REST, sockets, turns and peers. A peer lives in the replica that holds its socket; nothing
    else here would be missed by another one."""

    def __init__(self, args: AppArgs) -> None:
        cv2.setNumThreads(1)  # small pictures: a pool of threads costs more than it brings
        address = listening()
        self._settings = read_settings(listening_on=address)
        self._tutors = _tutors(args, self._settings)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_api(self._settings, _engines(self._tutors, self._settings), self._tutors)


def _tutors(args: AppArgs, settings: Settings) -> Tutors:
    """Raises `SettingsError` when the file is wrong, or names a face that there is not."""
    return read_tutors(PROJECT / args.tutors, settings, FaceNames(settings.avatars_folder))


def _engines(tutors: Tutors, settings: Settings) -> Engines:
    """The verbs, each behind the handle of its application."""
    controller = Controller()

    def backend(application: str) -> Backend:
        return Backend(application, settings.backend_wait_seconds, controller)

    asr, tts, avatar = backend("asr"), backend("tts"), backend("avatar")
    show = RemoteAvatar(avatar)
    wardrobe = Wardrobe(settings.avatars_folder, show)
    llm = backend(DEFAULT_LLM_APP)
    models = TutorModels(llm, backend, controller, lambda: tutors.llm_apps)
    known = backend("knowledge")
    stages = {"asr": asr, "llm": llm, "tts": tts, "avatar": avatar, "knowledge": known}
    graph = Graph(stages, controller)

    knowledge = RemoteKnowledge(known)

    async def chapters(kb_id: str) -> list[str]:
        return [each.name for each in await knowledge.documents(kb_id) if each.passages]

    async def states() -> dict[str, EngineState]:
        models.keep_up(stages)
        return models.told(await graph.states())

    async def names() -> dict[str, str]:
        models.keep_up(stages)
        return await graph.names()

    return Engines(
        hear=RemoteAsr(asr),
        think=lambda tutor: models.of(tutor.llm_app),
        speak=RemoteTts(tts),
        show=show,
        backdrop=wardrobe.backdrop,
        shown=wardrobe.shown,
        detector=SileroVad,
        faces=FaceNames(settings.avatars_folder),
        preparer=lambda: RemotePreparation(show, Path(settings.musetalk_models)),
        states=states,
        names=names,
        voices=lambda: tts.call("voices"),
        bases=knowledge,
        knowledge=knowledge,
        chapters=chapters,
    )


def build(args: AppArgs) -> Application:
    # Wrong settings stop the deployment here, with a sentence, before a replica is tried.
    _tutors(args, read_settings(listening_on=listening()))
    return application("Gateway", Gateway, args)
