"""What is wrong with the fields of a request, in sentences for people.

They name the field and never what was given in it: it may be a password.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from web_server.accounts import EMAIL, NO_CONTROL_CHARACTERS, NO_NUL
from web_server.sentences import Sentence

KINDS = {
    "missing": "must be given",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_type": "must be a text",
    "string_unicode": "must be a text of valid characters",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of these: {expected}",
    "extra_forbidden": "must be left out: it is not known here",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "json_invalid": "must be valid JSON",
}
"""By the kind of error that pydantic names; others are told in its own words, in English."""

FINDING = Sentence("{field}: {finding}")

LANGUAGE = r"^[a-z]{2,3}$"

PATTERNS = {
    EMAIL: "must be an email address, such as name@school.example",
    NO_CONTROL_CHARACTERS: "must hold no line breaks and no other control characters",
    NO_NUL: "must hold no NUL characters",
    LANGUAGE: "must be the code of a language, such as zh or en",
}


def findings(errors: Iterable[Mapping[str, Any]]) -> Iterator[Sentence]:
    """Of pydantic's `errors()`."""
    for error in errors:
        whole, *parts = error["loc"]
        # Of a body that is no JSON the second part is where reading it broke off.
        named = ".".join(str(part) for part in parts) if error["type"] != "json_invalid" else ""
        field = Sentence(named or str(whole))
        yield FINDING.about(field=field, finding=_finding(error))


def _finding(error: Mapping[str, Any]) -> Sentence:
    kind, about = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return Sentence(str(about["error"]))  # of a validator of ours
    if kind == "string_pattern_mismatch" and about["pattern"] in PATTERNS:
        return Sentence(PATTERNS[about["pattern"]])
    return Sentence(KINDS[kind], about) if kind in KINDS else Sentence(str(error["msg"]))
