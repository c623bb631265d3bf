"""Failures as the client is told them: translated here, once, and never with a traceback."""

import logging

from engines.errors import EngineError
from serve_app.errors import GatewayError
from serve_app.media import MediaError
from serve_app.webrtc.ice import IceError
from wire.events import BadMessage, ErrorEvent

logger = logging.getLogger(__name__)

INTERNAL_SENTENCE = (
    "Something went wrong inside the engine; its log says what. Send the message again."
)


def complaint(error: BaseException) -> ErrorEvent:
    """The `error` event that tells a client of this failure."""
    cause = first_cause(error)
    if isinstance(cause, EngineError | GatewayError | MediaError | IceError | BadMessage):
        session_id = cause.engine_session_id if isinstance(cause, BadMessage) else None
        return ErrorEvent(code=cause.code, content=cause.sentence, engine_session_id=session_id)
    logger.error("A message could not be answered", exc_info=error)
    return ErrorEvent(code="internal_error", content=INTERNAL_SENTENCE)


def first_cause(error: BaseException) -> BaseException:
    """What happened first in a group of failures."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
