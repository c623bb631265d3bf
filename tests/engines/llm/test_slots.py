import queue
import random
from collections.abc import Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers", exc_type=ImportError)

from transformers import (  # noqa: E402  # needs what may be missing
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engines.errors import EngineError  # noqa: E402  # as above
from engines.llm.batching import (  # noqa: E402  # as above
    INVALID,
    NO_NUMBER,
    Batching,
    Delivery,
    OutOfMemory,
)
from engines.llm.slots import GROWTH, ModelSteps, Sampling, drawn  # noqa: E402  # as above

pytestmark = pytest.mark.usefixtures("one_thread")

GREEDY = Sampling(0.0)
WORDS = 200
SHAPE: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "eos_token_id": None,
    "pad_token_id": None,
}


def made(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    match kind:
        case "llama":
            model: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**SHAPE))
        case "qwen2":
            model = Qwen2ForCausalLM(Qwen2Config(**SHAPE))
        case "qwen3":
            model = Qwen3ForCausalLM(Qwen3Config(**SHAPE))
        case "mistral, looking back 16 tokens":
            model = MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=16))
        case _:
            kinds = ["sliding_attention", "full_attention", "sliding_attention"]
            config = Gemma3TextConfig(**SHAPE, sliding_window=16, layer_types=kinds)
            model = Gemma3ForCausalLM(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:  # so that what was said matters
                weights.mul_(4.0)
    model.eval()  # type: ignore[no-untyped-call]  # the library leaves it so
    return model


def prompt(seed: int, length: int) -> list[int]:
    dice = random.Random(seed)
    return [dice.randrange(WORDS) for _ in range(length)]


def expected(model: PreTrainedModel, text: list[int], tokens: int) -> list[int]:
    """The most probable continuation, computed without any cache."""
    content = list(text)
    for _ in range(tokens):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([content]), use_cache=False).logits
        content.append(int(logits[0, -1].argmax()))
    return content[len(text) :]


def written(steps: ModelSteps, texts: Sequence[list[int]], tokens: int) -> list[list[int]]:
    """All texts continued at once, each in its slot, after reading it in pieces of 50."""
    answers: list[list[int]] = []
    for slot, text in enumerate(texts):
        for begin in range(0, len(text), 50):
            token = steps.read(slot, text[begin : begin + 50], begin)
        answers.append([token])
    slots = list(range(len(texts)))
    while len(answers[0]) < tokens:
        at = [len(text) + len(answers[0]) - 1 for text in texts]
        new = steps.write(slots, [answer[-1] for answer in answers], at)
        for answer, token in zip(answers, new, strict=True):
            answer.append(token)
    return answers


@pytest.mark.parametrize(
    "kind", ["llama", "qwen2", "qwen3", "mistral, looking back 16 tokens", "gemma3, both ways"]
)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_together_each_model_writes_what_it_writes_alone(kind: str, attention: str) -> None:
    model = made(kind)
    model.set_attn_implementation(attention)
    texts = [prompt(seed, 20 + 31 * seed) for seed in range(5)]
    answers = written(ModelSteps(model, GREEDY), texts, 12)
    assert answers == [expected(model, text, 12) for text in texts]
    assert len({token for answer in answers for token in answer}) > 10


def test_the_cache_grows_and_shrinks_as_needed() -> None:
    model = made("llama")
    steps = ModelSteps(model, GREEDY)
    short, long = prompt(1, 20), prompt(2, GROWTH + 100)
    assert written(steps, [short], 5) == [expected(model, short, 5)]
    # Two slots of more tokens than before, while the first has its text already.
    assert written(steps, [short, long], 5)[1] == expected(model, long, 5)
    assert steps.token_bytes == 3 * 2 * 2 * 8 * 4  # layers, both, heads, channels, float32
    steps.keep(1, 20)
    assert steps.write([0], [short[-1]], [19]) == expected(model, short, 1)
    steps.keep(0, 0)
    assert steps.token_bytes == 0
    assert written(steps, [short], 5) == [expected(model, short, 5)]


def test_slots_that_do_not_follow_one_another_write_too() -> None:
    model = made("qwen2")
    steps = ModelSteps(model, GREEDY)
    texts = {slot: prompt(slot, 30 + slot) for slot in (0, 3, 5)}
    first = [steps.read(slot, text, 0) for slot, text in texts.items()]
    second = steps.write(list(texts), first, [len(text) for text in texts.values()])
    assert list(map(list, zip(first, second, strict=True))) == [
        expected(model, text, 2) for text in texts.values()
    ]


def test_a_copied_beginning_is_as_good_as_a_read_one() -> None:
    model = made("llama")
    steps = ModelSteps(model, GREEDY)
    beginning, end = prompt(1, 40), prompt(2, 10)
    steps.read(0, beginning, 0)
    steps.copy(0, 4, 40)
    assert steps.read(4, end, 40) == expected(model, beginning + end, 1)[0]


def delivered(batching: Batching, text: list[int], tokens: int) -> list[int]:
    """The answer that the worker gives; raises its error."""
    inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    batching.submit(text, tokens, inbox.put)
    answer = []
    while (delivery := inbox.get(timeout=20)) is not None:
        if isinstance(delivery, EngineError):
            raise delivery
        answer.append(delivery)
    return answer


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_what_is_no_number_harms_only_the_conversation_in_which_it_arose(attention: str) -> None:
    model, broken = made("llama"), WORDS - 1
    model.set_attn_implementation(attention)
    short, long = prompt(1, 40), prompt(2, 90)
    short, long = [word % broken for word in short], [word % broken for word in long]
    wanted = expected(model, short, 12)
    with torch.no_grad():
        model.get_parameter("model.embed_tokens.weight")[broken] = float("nan")
    batching = Batching(ModelSteps(model, GREEDY), 1, frozenset())
    with pytest.raises(EngineError) as failure:
        delivered(batching, [*long, broken], 12)
    assert failure.value.sentence == NO_NUMBER
    assert delivered(batching, short, 12) == wanted, "in the same slot"
    batching.close()
    batching.join(20)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_a_want_of_memory_is_told_from_other_failures(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made("llama")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(model, "forward", fail)
    with pytest.raises(OutOfMemory):
        ModelSteps(model, GREEDY).read(0, [1, 2], 0)


def test_another_failure_stays_what_it_is() -> None:
    with pytest.raises(IndexError):
        ModelSteps(made("llama"), GREEDY).read(0, [WORDS], 0)


def test_models_that_remember_otherwise_are_refused() -> None:
    model = made("qwen2")
    model.config.layer_types = ["linear_attention", "full_attention", "full_attention"]
    with pytest.raises(ValueError, match="linear_attention are not supported"):
        ModelSteps(model, GREEDY)


# ── drawing ───────────────────────────────────────────────────────────────────────────────────


def counted(logits: list[float], sampling: Sampling, draws: int = 4000) -> list[float]:
    """Shares of the tokens among so many draws, in one batch."""
    torch.manual_seed(1)
    tokens = drawn(torch.tensor([logits]).expand(draws, -1), sampling)
    return [tokens.count(token) / draws for token in range(len(logits))]


def test_tokens_are_drawn_as_probable_as_they_are() -> None:
    logits = torch.tensor([0.6, 0.3, 0.1]).log().tolist()
    assert counted(logits, Sampling(1.0, 1.0)) == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    colder = torch.tensor([0.36, 0.09, 0.01]) / 0.46
    assert counted(logits, Sampling(0.5, 1.0)) == pytest.approx(colder.tolist(), abs=0.03)


def test_the_improbable_rest_is_not_drawn() -> None:
    logits = torch.tensor([0.6, 0.3, 0.1]).log().tolist()
    third = counted(logits, Sampling(1.0, top_p=0.8))
    assert third == pytest.approx([2 / 3, 1 / 3, 0.0], abs=0.03)
    assert counted(logits, Sampling(1.0, 1.0, top_k=1)) == [1.0, 0.0, 0.0]


def test_without_temperature_the_most_probable_is_taken() -> None:
    assert drawn(torch.tensor([[1.0, 3.0, 2.0], [5.0, 3.0, 2.0]]), GREEDY) == [1, 0]


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.7)])
def test_what_is_no_number_is_told_row_by_row(sampling: Sampling) -> None:
    nan, infinite = float("nan"), float("inf")
    rows = [[0.0, 99.0], [nan, 1.0], [infinite, 1.0], [-infinite, -infinite], [nan, nan]]
    assert drawn(torch.tensor(rows), sampling) == [1, INVALID, INVALID, INVALID, INVALID]
