"""What the templates of language models write between speakers, so that no text from strangers can
write it as well. Pure.

A model in this process knows its own marks (engines/llm/tokens.py); those of a server's model
nobody tells, so these are the ones that are known at all.
"""

import re

_TOKENS = (
    r"s|bos|eos|pad|unk|mask|cls|sep|sop|eop|start_of_\w+|end_of_\w+|begin(?:ning)?_of_\w+|im_\w+"
    r"|think|thinking|tool_\w+|function_\w+|unused\d+|extra_id_\d+|special_\d+|reserved_\w+"
)
"""In angle brackets: Gemma, Llama 2, the thoughts and tools of Qwen."""

_SPEAKERS = r"tools?|system|user|assistant|human|developer|model|notes|student_notes"
"""In angle brackets no mark of a model, but read as one by many."""

_NAMES = (
    r"g?mask|cls|sep|pad|unk|inst|system_prompt|available_tools|tool_\w+|args|call_id|img\w*"
    r"|prefix|suffix|middle|think|control_\d+"
)
"""In square brackets: Llama 2, Mistral, GLM."""

# Tokenizers that normalise (NFKC) take the wide forms for the usual ones.
_LT, _GT, _BAR, _SLASH, _OPEN, _CLOSE = "[<＜]", "[>＞]", "[|｜]", "[/／]?", r"[\[［]", r"[\]］]"


def _beginning(tags: str) -> re.Pattern[str]:
    """The first character of each mark, even of those that overlap."""
    return re.compile(
        rf"(?={_LT}{_BAR}|{_OPEN}{_BAR}{_BAR}|\|>|{_BAR}＞"  # ChatML, Llama 3, DeepSeek …
        rf"|{_LT}{_SLASH}(?:{tags}){_GT}"
        rf"|{_LT}{_LT}{_SLASH}sys{_GT}{_GT}"
        rf"|{_OPEN}{_SLASH}(?:{_NAMES}){_CLOSE})(.)",
        re.I,
    )


_SPOKEN = _beginning(_TOKENS)
_WRITTEN = _beginning(f"{_TOKENS}|{_SPEAKERS}")
_WHOLE = re.compile(
    rf"{_LT}{_BAR}[^<>＜＞|｜\n]{{0,40}}{_BAR}{_GT}"  # <|im_start|>, <|eot_id|>
    rf"|{_LT}{_LT}{_SLASH}sys{_GT}{_GT}"
    rf"|{_LT}{_SLASH}(?:{_TOKENS}|{_SPEAKERS})(?:\s[^<>\n]{{0,40}})?{_GT}"
    rf"|{_OPEN}{_SLASH}(?:{_NAMES}){_CLOSE}",
    re.I,
)


def broken(text: str) -> str:
    """Of a document: as it is, with a space in each mark. A whole mark taken out could leave
    another one, put together from what stood around it."""
    return _WRITTEN.sub(r"\1 ", text)


def broken_speech(text: str) -> str:
    """Of a conversation, in which tags such as `<user>` may be what it is about."""
    return _SPOKEN.sub(r"\1 ", text)


def without_marks(text: str) -> str:
    """With a space in the place of each whole mark; others may come together by that."""
    return _WHOLE.sub(" ", text)
