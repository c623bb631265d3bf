import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.events import (
    CLIENT_TYPES,
    MAX_MESSAGE_BYTES,
    BadMessage,
    ErrorEvent,
    TextEvent,
    TextMessage,
    TextWebRtcMessage,
    parse_client_event,
)


def test_every_documented_message_is_known() -> None:
    documented = {"text", "audio", "webrtc_offer", "webrtc_ice_candidate", "text_webrtc"}
    assert set(CLIENT_TYPES) == documented | {"hello", "interrupt", "microphone", "ping"}


def test_fields_beyond_the_contract_are_ignored() -> None:
    parsed = parse_client_event('{"type":"text","content":" 你好 ","role":"user","x":1}')
    assert parsed == TextMessage(type="text", content="你好")


def test_a_user_id_may_come_as_digits() -> None:
    parsed = parse_client_event('{"type":"text_webrtc","content":"x","user_id":"123"}')
    assert isinstance(parsed, TextWebRtcMessage)
    assert parsed.user_id == 123


def test_an_error_knows_which_session_the_broken_message_named() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_client_event('{"type":"text","engine_session_id":"abc"}')
    assert (caught.value.code, caught.value.engine_session_id) == ("missing_content", "abc")


def test_the_limit_counts_bytes_not_characters() -> None:
    message = json.dumps({"type": "text", "content": "好" * (MAX_MESSAGE_BYTES // 3)})
    raw = json.dumps(
        {"type": "text", "content": "好" * (MAX_MESSAGE_BYTES // 3)}, ensure_ascii=False
    )
    assert len(raw) < MAX_MESSAGE_BYTES
    for frame in (message, raw):
        with pytest.raises(BadMessage) as caught:
            parse_client_event(frame)
        assert caught.value.code == "message_too_large"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
TYPED = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(CLIENT_TYPES) | st.text(max_size=8),
    st.dictionaries(
        st.sampled_from(["content", "data", "sdp", "user_id", "avatar_id", "features"])
        | st.text(max_size=8),
        JSON,
        max_size=5,
    ),
)


@given(st.text() | st.binary() | (JSON | TYPED).map(json.dumps))
def test_any_frame_is_a_message_or_told_what_is_wrong(frame: str | bytes) -> None:
    try:
        parse_client_event(frame)
    except BadMessage as bad:
        assert bad.code.isidentifier()
        assert bad.sentence.endswith(".")


def test_events_leave_out_what_is_not_set() -> None:
    event = json.loads(TextEvent(content="x").to_json())
    assert set(event) == {"type", "content", "role", "timestamp"}
    assert event["timestamp"].endswith("Z")
    error = json.loads(ErrorEvent(content="x", code="y", engine_session_id="z").to_json())
    assert set(error) == {"type", "content", "code", "timestamp", "engine_session_id"}


@pytest.mark.parametrize(
    ("avatar_id", "right"),
    [
        ("avatar_tutor_13", True),
        ("my.face-2_b", True),
        ("Lena Schmidt", True),
        ("王老师", True),
        ("../../etc", False),
        ("", False),
        ("a/b", False),
        ("x" * 65, False),
    ],
)
def test_an_avatar_id_is_a_name(avatar_id: str, right: bool) -> None:
    text = json.dumps({"type": "text", "content": "Hi", "avatar_id": avatar_id})
    if right:
        assert getattr(parse_client_event(text), "avatar_id", None) == avatar_id
    else:
        with pytest.raises(BadMessage, match="avatar_id"):
            parse_client_event(text)
