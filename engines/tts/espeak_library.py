"""espeak-ng through ctypes: one library, one thread, sound by callback.

The library keeps its state in globals, so a process has one `EspeakLibrary`, and every synthesis
runs on its `worker`.
"""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from engines.base import Pcm
from engines.errors import EngineError, EngineUnavailable

BUFFER_MS = 60
"""Sound between two callbacks. A callback is where a synthesis can stop; 60 ms of sound take
espeak less than 0.2 ms."""

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS = 0x0001
_INITIALIZE_PHONEME_IPA = 0x0002
_INITIALIZE_DONT_EXIT = 0x8000  # without it, espeak ends the process when its data is missing
_EVENT_LIST_TERMINATED = 0
_EVENT_PHONEME = 7
_CHARS_UTF8 = 1  # and neither espeakSSML nor espeakPHONEMES: "<" and "[[" are text
_RATE, _VOLUME, _PITCH = 1, 2, 3
_STOP, _GO_ON = 1, 0

_REMEDY = "Install it again with `pip install --force-reinstall espeakng-loader`."


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Events = ctypes.Array[_Event]  # what the pointer is indexed like
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What espeak is set to before it reads a text."""

    voice: str
    """espeak's own name, for example `en-us+f3`."""
    words_per_minute: int
    pitch: int
    """0 to 100; 50 is the voice's own."""
    volume: int
    """100 is the voice's own."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """What one callback brings."""

    samples: Pcm
    sounds: tuple[tuple[int, str], ...]
    """When each phoneme starts, in samples since the text began, and espeak's symbol for it."""


OnBuffer = Callable[[Buffer], bool]
"""Takes a buffer on the worker thread; False stops the synthesis."""


class EspeakLibrary:
    """The loaded library. `synthesise` may only run on `worker`."""

    def __init__(self) -> None:
        self._library, self._data = _load()
        self.rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS,
            BUFFER_MS,
            str(self._data).encode(),
            _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_PHONEME_IPA | _INITIALIZE_DONT_EXIT,
        )
        if self.rate_hz <= 0:
            raise EngineUnavailable(f"espeak-ng cannot read its voice data. {_REMEDY}")
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")
        self._on_buffer: OnBuffer = lambda _: False
        self._failure: Exception | None = None
        self._callback = _Callback(self._deliver)  # kept: espeak holds only a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    @cached_property
    def variants(self) -> frozenset[str]:
        return frozenset(path.name for path in self._data.glob("voices/!v/*"))

    def synthesise(self, text: str, settings: Settings, on_buffer: OnBuffer) -> None:
        """Read `text`, handing over the sound as it is made. Blocks; on `worker` only."""
        self._set(settings)
        self._on_buffer, self._failure = on_buffer, None
        utf8 = text.encode("utf-8", "replace")
        status = self._library.espeak_Synth(utf8, len(utf8) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        self._on_buffer = lambda _: False
        if self._failure is not None:
            raise self._failure
        if status != 0:
            raise EngineError(f"espeak-ng could not read the sentence (status {status}).")

    def _set(self, settings: Settings) -> None:
        if self._library.espeak_SetVoiceByName(settings.voice.encode()) != 0:
            raise EngineError(f"espeak-ng could not load its voice {settings.voice!r}.")
        self._library.espeak_SetParameter(_RATE, settings.words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, settings.pitch, 0)
        self._library.espeak_SetParameter(_VOLUME, settings.volume, 0)

    def _deliver(self, wave: "ctypes._Pointer[ctypes.c_short]", count: int, events: _Events) -> int:
        # An exception cannot cross espeak's C frames: it is kept and raised behind them.
        try:
            return _GO_ON if self._on_buffer(_buffer(wave, count, events)) else _STOP
        except Exception as failure:
            self._failure = failure
            return _STOP


def _buffer(wave: "ctypes._Pointer[ctypes.c_short]", count: int, events: _Events) -> Buffer:
    samples: Pcm = np.zeros(0, np.int16)
    if count > 0:  # otherwise `wave` may be NULL
        # Copied: espeak writes the next buffer over this one.
        samples = np.ctypeslib.as_array(wave, (count,)).astype(np.int16, copy=True)
    sounds = []
    index = 0
    while events[index].type != _EVENT_LIST_TERMINATED:
        event = events[index]
        if event.type == _EVENT_PHONEME:
            # espeak has eight bytes for a symbol and may cut the last character in two.
            sounds.append((event.sample, event.id.string.decode("utf-8", "ignore")))
        index += 1
    return Buffer(samples, tuple(sounds))


def _load() -> tuple[ctypes.CDLL, Path]:
    try:
        import espeakng_loader

        data = Path(espeakng_loader.get_data_path())
        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except (ImportError, OSError, RuntimeError) as cause:
        raise EngineUnavailable(f"The espeak-ng library cannot be loaded. {_REMEDY}") from cause
    library.espeak_Initialize.argtypes = (
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    )
    library.espeak_SetSynthCallback.argtypes = (_Callback,)
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
    library.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    return library, data


_opening = threading.Lock()
_opened: list[EspeakLibrary] = []


def open_espeak() -> EspeakLibrary:
    """The one library of this process. Raises `EngineUnavailable`, and tries anew next time."""
    with _opening:
        if not _opened:
            _opened.append(EspeakLibrary())
        return _opened[0]
