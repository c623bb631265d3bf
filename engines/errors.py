"""What can go wrong in an engine.

EngineError
├── EngineUnavailable    the engine is missing, starting or gone; its remedy says what to do
│   ├── EngineBusy       it is well, but has too much to do at once
│   ├── UnfitAvatar      it is well, but the face was made for another one
│   ├── OutOfMemory      it lacked memory this time; it may suffice the next time
│   └── DeviceBroken     its GPU cannot be used by this process any more
├── EngineTimeout        it did not answer in time
├── QuestionTooLong      the question alone does not fit into the model
├── QuestionRefused      the model takes other questions, but not this one
├── UnusableSpeech       the recording cannot be understood as speech
├── UnusableFootage      no face can be made of the photo or clip
│   └── FootageTooLarge  it is larger than what is looked at
├── UnusableDocument     nothing can be learnt from the file
│   └── DocumentTooLarge it is larger than what is read
├── UnknownKnowledge     no knowledge base or document of that name
├── UnknownAvatar        no face of that name
└── UnknownVoice         no voice of that name or language
"""


class EngineError(Exception):
    """Any failure of an engine: a sentence a person can act on, and a stable `code`."""

    code = "engine_failed"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __reduce__(self) -> tuple[type["EngineError"], tuple[str]]:
        # Errors cross process borders by pickle; without this a subclass's own state would be lost.
        return type(self), (self.sentence,)


class EngineUnavailable(EngineError):
    """The engine is missing, still starting or has died."""

    code = "engine_unavailable"


class EngineBusy(EngineUnavailable):
    """The engine is well, but more is asked of it at once than it can do."""


class UnfitAvatar(EngineUnavailable):
    """The engine is well, but the face was made for another version of it."""


class OutOfMemory(EngineUnavailable):
    """The memory did not suffice this time; what the engine kept in store has been given back."""


class DeviceBroken(EngineUnavailable):
    """The GPU refuses everything that this process asks of it; only a new process can use it."""


class EngineTimeout(EngineError):
    """The engine did not answer within its limit."""

    code = "engine_timeout"


class QuestionTooLong(EngineError):
    """The newest question alone does not fit; the sentence is meant for the learner."""

    code = "question_too_long"


class QuestionRefused(EngineError):
    """This question, or the conversation around it, is not answered; others would be."""

    code = "question_refused"


class UnusableSpeech(EngineError):
    """The recording holds nothing that can be recognised."""

    code = "unusable_speech"


class UnusableFootage(EngineError):
    """No face can be made of the photo or clip; the sentence says why, and what would do."""

    code = "unusable_footage"


class FootageTooLarge(UnusableFootage):
    """The photo or clip is larger than what is looked at."""

    code = "footage_too_large"


class UnusableDocument(EngineError):
    """Nothing can be learnt from the file; the sentence says why, and what would do."""

    code = "unusable_document"


class DocumentTooLarge(UnusableDocument):
    """The file, or what is packed into it, is larger than what is read."""

    code = "document_too_large"


class UnknownKnowledge(EngineError):
    """There is no knowledge base, or no document in it, of that name."""

    code = "unknown_knowledge"


class UnknownAvatar(EngineError):
    """No face of that name is known."""

    code = "unknown_avatar"


class UnknownVoice(EngineError):
    """The engine has no voice of that name or for that language."""

    code = "unknown_voice"
