"""What the front end knows of the wire is what the wire is."""

import json
from pathlib import Path

from wire.events import CLIENT_TYPES
from wire.schema import schema, text

KEPT = Path(__file__).resolve().parents[2] / "frontend/src/wire/schema.json"


def test_the_front_end_has_the_schema_of_today() -> None:
    assert KEPT.read_text("utf-8") == text(), "Run `npm run types` in frontend/."


def test_every_message_of_a_client_is_there() -> None:
    definitions = schema()["$defs"]
    named = [choice["$ref"].rpartition("/")[2] for choice in definitions["ClientEvent"]["anyOf"]]
    types = [definitions[name]["properties"]["type"]["const"] for name in named]
    assert types == list(CLIENT_TYPES)


def test_an_event_need_not_carry_what_it_may_lack() -> None:
    text_event = schema()["$defs"]["TextEvent"]
    assert "audio" not in text_event["required"]
    assert "content" in text_event["required"]
    assert "null" not in json.dumps(text_event)
