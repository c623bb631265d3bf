"""A language model in this process, by transformers: a local folder, or by name from the hub.

PyTorch costs seconds and hundreds of megabytes, so it is imported only when a model is loaded.
"""

import asyncio
import gc
import logging
import queue
import sys
import weakref
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from engines.base import EngineState, Message
from engines.errors import EngineError, EngineUnavailable, QuestionRefused
from engines.llm.batching import END_LIMIT_S, Batching, Delivery, first_line
from engines.llm.context import DEFAULT_CONTEXT_TOKENS, answer_tokens, fitted
from engines.llm.grounding import CODE_CHARS, grounded, unmarked
from engines.llm.options import LlmOptions
from engines.llm.tokens import Prompt, Prompting, Writing

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from engines.llm.slots import ModelSteps, Sampling

_log = logging.getLogger(__name__)

NEEDED_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.tiktoken")
"""What is downloaded of a model: not the copies in other formats."""

WARM_UP_TOKENS = 300
"""Read once after loading: kernels are made by their first use, and it shows how much the machine
can read between two steps."""

WARM_UP_LIMIT_S = 600.0

CACHE_SHARE = 0.8
"""Of the memory that the model leaves free; the rest is for what its steps compute."""

CUTS = 4
"""Tries to cut a conversation: a template may add more than what is reckoned for it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model is loaded, and how much of the place it may have."""

    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, or whichever is there."""
    dtype: str = "auto"
    """`bfloat16`, `float16`, `float32`, or what is fastest on the device."""
    memory_fraction: float | None = None
    """Of the GPU's memory, for the model and all conversations; None: all that is free."""
    sessions: int = 8
    """So many are answered at once; others wait for them."""


class TransformersLlm:
    """Answers all conversations at once, a token of each in every step of the model."""

    def __init__(
        self, description: str, prompting: Prompting, batching: Batching, options: LlmOptions
    ) -> None:
        """`description` tells the model, its device and its number format."""
        self._description = description
        self._prompting = prompting
        self._batching = batching
        self._context = options.context_tokens or DEFAULT_CONTEXT_TOKENS
        self._limit = answer_tokens(self._context, options.max_tokens)
        # The worker does not know this object, so it can end with it.
        weakref.finalize(self, batching.close)

    @classmethod
    def load(
        cls, model: str, options: LlmOptions | None = None, placement: Placement | None = None
    ) -> Self:
        """Load a local folder or a model of the hub, downloading it when it is not there yet.

        Takes seconds to minutes: call it in a thread. Raises `EngineUnavailable` with what is
        missing and what to do.
        """
        return cls(*_load(model, options or LlmOptions(), placement or Placement()))

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Closing the stream stops the writing after the step that is being done.

        Raises `EngineError`; `QuestionTooLong` when the question alone does not fit, and
        `QuestionRefused` when the conversation is not one for this model.
        """
        prompt = await asyncio.to_thread(self._prompt, messages)
        inbox: asyncio.Queue[Delivery] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def post(delivery: Delivery) -> None:
            loop.call_soon_threadsafe(inbox.put_nowait, delivery)

        request = self._batching.submit(prompt.tokens, self._limit, post)
        writing = Writing(self._prompting.decode, prompt)
        try:
            while not writing.stopped and (token := await inbox.get()) is not None:
                if isinstance(token, EngineError):
                    raise token
                if text := writing.feed(token):
                    yield text
            if text := writing.flush():
                yield text
        finally:
            self._batching.cancel(request)

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that these messages make, uncut, with notes and what the course has
        on them. Blocks for milliseconds."""
        told = grounded(unmarked(messages), "0" * CODE_CHARS)
        return len(self._prompting.prompt(told).tokens)

    async def state(self) -> EngineState:
        return EngineState("transformers", "ready", f"Answers with {self._description}.")

    async def close(self) -> None:
        """Stop writing, and give the cache's memory back; answers under way fail."""
        self._batching.close()
        await asyncio.to_thread(self._batching.join)

    def _prompt(self, messages: Sequence[Message]) -> Prompt:
        """What of the conversation fits, counted by the model's own tokenizer and template."""
        messages = self._prompting.cleaned(messages)  # before it is counted: it becomes longer
        room = reckoned = self._context - self._limit
        for _ in range(CUTS):
            prompt = self._prompting.prompt(fitted(messages, reckoned, self._prompting.count))
            if len(prompt.tokens) <= room:
                return prompt
            reckoned -= len(prompt.tokens) - room
        raise QuestionRefused(
            "The conversation does not fit into the language model's context. Raise"
            " LLM_CONTEXT_TOKENS, or begin a new conversation."
        )


def _load(
    name: str, options: LlmOptions, placement: Placement
) -> tuple[str, Prompting, Batching, LlmOptions]:
    folder = find_folder(name)
    try:
        return _opened(name, folder, options, placement)
    except EngineError as error:
        refusal = error.with_traceback(None)
        refusal.__cause__ = refusal.__context__ = None
    except Exception as error:  # PyTorch's, the library's, the tokenizer's, the system's
        # At length for whoever looks for it only: it is tried again and again.
        _log.debug("the language model %s could not be loaded", name, exc_info=error)
        refusal = _refusal(name, error)
    # Here, because the exception and its causes held on to the model.
    _free_memory()
    raise refusal


def _opened(
    name: str, folder: Path, options: LlmOptions, placement: Placement
) -> tuple[str, Prompting, Batching, LlmOptions]:
    device = _device(placement)
    model = _model(folder, device, placement.dtype)
    prompting = _prompting(folder, options)
    options = replace(options, context_tokens=_context(model, options.context_tokens))
    batching = _batching(model, prompting, options, placement)
    return f"{Path(name).name} on {device} in {_short(model.dtype)}", prompting, batching, options


def _free_memory() -> None:
    """Give back what PyTorch keeps in store, so that others on the GPU can use it."""
    gc.collect()
    torch = sys.modules.get("torch")  # without it nothing was loaded
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _batching(
    model: "PreTrainedModel", prompting: Prompting, options: LlmOptions, placement: Placement
) -> Batching:
    """The worker, warm. Raises `EngineUnavailable` when the model cannot write."""
    from engines.llm.slots import ModelSteps

    steps = ModelSteps(model, _sampling(model, options.temperature))
    ends = prompting.ends(getattr(model.generation_config, "eos_token_id", None))
    context = options.context_tokens or DEFAULT_CONTEXT_TOKENS
    batching = Batching(steps, 1, ends)
    try:
        _warm_up(batching, min(WARM_UP_TOKENS, context // 2), model.config.get_text_config())
        batching.resize(_affordable(steps, model.device, context, placement))
    except Exception as error:  # also the driver's, which tells of the memory
        batching.close()
        batching.join(END_LIMIT_S)  # it holds on to the model
        if isinstance(error, EngineError):
            raise EngineUnavailable(error.sentence) from error
        raise
    return batching


def _warm_up(batching: Batching, tokens: int, config: Any) -> None:
    """Read and write once. Raises `EngineError`."""
    inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    batching.submit([n % config.vocab_size for n in range(tokens)], 2, inbox.put)
    while (delivery := inbox.get(timeout=WARM_UP_LIMIT_S)) is not None:
        if isinstance(delivery, EngineError):
            raise delivery


def _affordable(
    steps: "ModelSteps", device: "torch.device", context: int, placement: Placement
) -> int:
    """How many conversations of full length fit into the memory, at most those wanted."""
    import torch

    if device.type != "cuda":
        return placement.sessions
    free, total = torch.cuda.mem_get_info(device)
    if placement.memory_fraction is not None:
        used = torch.cuda.memory_reserved(device)
        free = min(free, int(total * placement.memory_fraction) - used)
    each = steps.token_bytes * context
    fitting = int(free * CACHE_SHARE) // each
    if fitting < placement.sessions:
        _log.warning(
            "the GPU's memory is enough for %d conversations of %d tokens at once, not for %d;"
            " lower LLM_CONTEXT_TOKENS for more",
            *(max(fitting, 1), context, placement.sessions),
        )
    return max(1, min(fitting, placement.sessions))


def _device(placement: Placement) -> "torch.device":
    """Where to load; from now on this process takes no more of its memory than it may."""
    try:
        import torch
        import transformers  # noqa: F401  # missing, it is to be told here
    except ImportError as missing:
        raise EngineUnavailable(
            f"{missing.name or 'transformers'} is missing, which models of one's own need; install"
            " it with `pip install -e .[gpu]`."
        ) from missing
    name = placement.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and placement.memory_fraction is not None:
        torch.cuda.set_per_process_memory_fraction(placement.memory_fraction, device)
    return device


def _model(folder: Path, device: "torch.device", dtype: str) -> "PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM

    if dtype == "auto":
        dtype = "float32"
        if device.type == "cuda":
            dtype = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), local_files_only=True
    )
    model.eval()  # type: ignore[no-untyped-call]  # the library leaves it so
    model.to(device)  # type: ignore[arg-type]  # its annotation knows only some of PyTorch's
    return model


def _prompting(folder: Path, options: LlmOptions) -> Prompting:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    prompting = Prompting(tokenizer, options.stop, options.think)
    if not prompting.count("Hello"):
        # Without its file the library makes one up that knows nothing.
        raise ValueError("its tokenizer knows no words, is tokenizer.json missing?")
    return prompting


def _context(model: "PreTrainedModel", wanted: int | None) -> int:
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(wanted or DEFAULT_CONTEXT_TOKENS, own or DEFAULT_CONTEXT_TOKENS)


def _sampling(model: "PreTrainedModel", temperature: float) -> "Sampling":
    """As the model's makers advise, but for the temperature."""
    from engines.llm.slots import Sampling

    advice = model.generation_config
    top_p, top_k = getattr(advice, "top_p", None), getattr(advice, "top_k", None)
    default = Sampling(temperature)
    return Sampling(temperature, top_p or default.top_p, top_k or default.top_k)


def find_folder(model: str) -> Path:
    """The local folder of `model`, after a download where it is a name of the hub."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith((".", "~", "/", "\\")) or folder.exists() or model.count("/") > 1:
        raise EngineUnavailable(
            f"The language model's folder `{model}` does not exist or is no folder; set"
            " TRANSFORMERS_MODEL to a folder or to a name of the hub such as"
            " `Qwen/Qwen3-4B-Instruct-2507`."
        )
    return _fetch(model)


def _fetch(model: str) -> Path:
    """Shows the hub's progress bars; offline it finds what was downloaded before."""
    try:
        from huggingface_hub import snapshot_download

        _log.info("looking for the language model `%s`, which is downloaded once", model)
        return Path(snapshot_download(model, allow_patterns=list(NEEDED_FILES)))
    except ImportError as missing:
        raise EngineUnavailable(
            "transformers is missing, which models of one's own need; install it with `pip install"
            " -e .[gpu]`."
        ) from missing
    except Exception as error:  # offline, unknown, no disk: the hub's, httpx's and the system's
        raise EngineUnavailable(
            f"The language model `{model}` could not be downloaded ({first_line(error)}); go online"
            " once, or set TRANSFORMERS_MODEL to the folder of a copy."
        ) from error


def _refusal(name: str, error: Exception) -> EngineUnavailable:
    if "out of memory" in str(error) or "can't allocate memory" in str(error):
        return EngineUnavailable(
            f"The language model `{name}` does not fit into the memory; use a smaller one, or give"
            " it more of the GPU."
        )
    return EngineUnavailable(
        f"The language model `{name}` could not be loaded ({first_line(error)}); check that"
        " TRANSFORMERS_MODEL is a causal language model with safetensors that fits this machine."
    )


def _short(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
