"""The tutors' language models, as memory asks them."""

from engines.base import EngineState, Llm
from serve_app.memory import Minds
from serve_app.services import Engines
from serve_app.tutors import Tutors

DEFAULT_STAGE = "llm"
"""The default model stands in for every other one."""


def minds(engines: Engines, tutors: Tutors) -> Minds:
    def think(tutor_id: int) -> Llm:
        return engines.think(tutors.get(tutor_id))

    async def seems_there(tutor_id: int) -> bool:
        states = await engines.states()
        own = tutors.get(tutor_id).llm_app
        return any(map(_thinks, (states.get(own), states.get(DEFAULT_STAGE))))

    return Minds(think, seems_there)


def _thinks(state: EngineState | None) -> bool:
    """Whether it is a model that can be asked; the offline tutor is none."""
    if state is None or state.engine == "offline":
        return False
    return state.state in ("ready", "degraded")
