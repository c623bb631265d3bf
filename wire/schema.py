"""JSON Schema of all that crosses the network, for clients in other languages.

`python -m wire.schema` prints it; `npm run types` in frontend/ makes TypeScript of it.
"""

import inspect
import json
import sys
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from wire import events, rest

Schema = dict[str, Any]

NESTED = ("IceServer", "SourceItem")
"""Inside of events, and sent as they are."""


def _client_messages() -> list[type[BaseModel]]:
    return list(get_args(get_args(events.ClientEvent)[0]))


def _engine_events() -> list[type[BaseModel]]:
    return [
        model
        for _, model in inspect.getmembers(events, inspect.isclass)
        if issubclass(model, events.ServerEvent) and "type" in model.model_fields
    ]


def _rest_models() -> list[type[BaseModel]]:
    return [
        model
        for _, model in inspect.getmembers(rest, inspect.isclass)
        if issubclass(model, BaseModel) and model.__module__ == rest.__name__
    ]


def schema() -> Schema:
    """Every message and model under `$defs`; `ClientEvent` and `EngineEvent` are the unions."""
    messages, answers, models = _client_messages(), _engine_events(), _rest_models()
    _, whole = models_json_schema(
        [
            *((model, "validation") for model in messages),
            *((model, "serialization") for model in (*answers, *models)),
        ]
    )
    definitions: dict[str, Schema] = whole["$defs"]
    received = {model.__name__ for model in messages}
    for name, definition in definitions.items():
        if name not in received and not name.endswith(("Create", "Put")):
            _as_sent(definition)
    for name in [*(model.__name__ for model in answers), *NESTED]:
        _leave_nulls_out(definitions[name])
    definitions["ClientEvent"] = _union(messages)
    definitions["EngineEvent"] = _union(answers)
    result: Schema = _without_titles({"$defs": dict(sorted(definitions.items()))})
    return result


def _union(models: list[type[BaseModel]]) -> Schema:
    return {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models]}


def _as_sent(definition: Schema) -> None:
    """A field with a default is sent all the same."""
    definition["required"] = sorted(definition["properties"])


def _leave_nulls_out(definition: Schema) -> None:
    """An event does not carry what it does not have: see `ServerEvent.to_json`."""
    for name, field in definition["properties"].items():
        choices = field.get("anyOf", [])
        if {"type": "null"} not in choices:
            continue
        field["anyOf"] = [choice for choice in choices if choice != {"type": "null"}]
        field.pop("default", None)
        definition["required"].remove(name)


def _without_titles(node: Any) -> Any:
    """Each field's title repeats its name, and would become a type of its own."""
    if isinstance(node, list):
        return [_without_titles(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_titles(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }


def text() -> str:
    """As it is kept in frontend/."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
