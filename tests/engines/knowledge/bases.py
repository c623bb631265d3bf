"""A small knowledge base, for tests."""

import uuid
from collections.abc import Sequence

from engines.knowledge.base import Document, Found, Passage
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.terms import question_words

WATER = (
    "Water boils at one hundred degrees Celsius at sea level.",
    "Ice floats, because it is lighter than water.",
    "Clouds form when moist air rises and cools.",
)
WATER_CHINESE = (
    "在海平面上，水在一百摄氏度时沸腾。",
    "冰比水轻，所以浮在水面上。",
    "潮湿的空气上升变冷，就形成云。",
)


def document(name: str, content: str = "") -> Document:
    """Of a file with this content, or with one that no other has."""
    sha256 = content or uuid.uuid4().hex
    return Document(uuid.uuid4().hex, name, sha256, 10, 2, 3, ("A note.",), 1_700_000_000.25)


def passages(texts: Sequence[str], heading: str = "") -> list[Passage]:
    return [Passage(text, i + 1, heading, i) for i, text in enumerate(texts)]


def about_water(uri: str) -> KnowledgeIndex:
    """With the base `water`, of one English and one Chinese document."""
    index = KnowledgeIndex(uri)
    index.create("water")
    index.put("water", document("water.md"), passages(WATER))
    index.put("water", document("水.md"), passages(WATER_CHINESE))
    return index


def ask(index: KnowledgeIndex, kb_id: str, question: str, limit: int = 3) -> list[Found]:
    return index.find(kb_id, question_words(question), None, limit)


def texts(found: Sequence[Found]) -> list[str]:
    return [each.passage.text for each in found]
