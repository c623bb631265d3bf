"""A causal language model of 64 channels, in the folder layout of Qwen2 that transformers loads.

Its tokenizer takes Chinese apart into bytes, so that a character is three tokens, and the model is
trained for some seconds until it knows a few answers by heart. What it says to anything else is
nonsense, but template, tokenizer, cache and sampling are the real ones. As a script:
`python -m tests.tiny_llm FOLDER`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

ANSWERS = {
    "What is water?": "Water is made of hydrogen and oxygen.",
    "What is a prime?": "A prime has exactly two divisors: one and itself.",
    "Count to five.": "One, two, three, four, five.",
    "水是什么？": "水是由氢和氧组成的。",
    "你好": "你好，同学！我们开始上课吧。😀",
    "Who are you?": "I am your tutor, 我是你的老师。",
}
"""What a trained model answers, word for word, when temperature is 0."""

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

FORGETFUL = TEMPLATE.replace("in messages", "in messages[-1:]")
"""Leaves out all but the newest message, so that what is known by heart is also said to a tutor's
learner, whose questions come with a prompt and a history."""

WORDS = 420  # at most: 256 bytes, three marks, and pieces of English
POSITIONS = 4096
ROUNDS = 300
"""At most so many steps of training."""

KNOWN_BY_HEART = 0.005
"""Loss at which every word is sure."""

IGNORED = -100  # what the loss of transformers leaves out


def make_tiny_llm(
    folder: Path,
    *,
    channels: int = 64,
    layers: int = 2,
    trained: bool = True,
    template: str | None = TEMPLATE,
) -> Path:
    """Write the model into `folder`, which is made when missing, and return it.

    `trained` costs some seconds; without it the model repeats the last token of its prompt for
    ever, and computes as much for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    # The generator of the whole process is not touched: other tests may rely on it.
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(_config(tokenizer, channels, layers))
        if trained:
            _train(model, tokenizer)
        else:
            _make_repeating(model)
    tokenizer.chat_template = template
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    bare = Tokenizer(BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    marks = [AddedToken(mark, special=True) for mark in (PAD, START, END)]
    trainer = BpeTrainer(
        vocab_size=WORDS,
        special_tokens=marks,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Only English is learned: Chinese stays apart in bytes, which is the harder case.
    english = [text for pair in ANSWERS.items() for text in pair if text.isascii()]
    bare.train_from_iterator(english * 3, trainer)
    # The library leaves its own without types.
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bare, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _config(tokenizer: PreTrainedTokenizerFast, channels: int, layers: int) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=channels,
        intermediate_size=3 * channels,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )


def _train(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    inputs, labels = _lessons(tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    model.train()
    for _ in range(ROUNDS):
        optimiser.zero_grad()
        loss = model(input_ids=inputs, labels=labels).loss
        if loss.item() < KNOWN_BY_HEART:
            break
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval()  # type: ignore[no-untyped-call]  # the library leaves it so


def _make_repeating(model: Qwen2ForCausalLM) -> None:
    """What the layers compute is left out, so a token comes out where it went in."""
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several would wait for one another longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _lessons(tokenizer: PreTrainedTokenizerFast) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of each conversation, filled up to one length, and what is to be learned of them."""
    rows: list[tuple[list[int], list[int]]] = []
    for question, answer in ANSWERS.items():
        asked = _ids(tokenizer, [{"role": "user", "content": question}])
        told = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
        rows.append((asked + told, [IGNORED] * len(asked) + told))
    longest = max(len(tokens) for tokens, _ in rows)
    inputs = [tokens + [0] * (longest - len(tokens)) for tokens, _ in rows]
    labels = [wanted + [IGNORED] * (longest - len(wanted)) for _, wanted in rows]
    return torch.tensor(inputs), torch.tensor(labels)


def _ids(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, str]]) -> list[int]:
    encoded: Any = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return list(encoded["input_ids"])


if __name__ == "__main__":
    make_tiny_llm(Path(sys.argv[1]))
