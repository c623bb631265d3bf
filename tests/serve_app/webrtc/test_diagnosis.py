from dataclasses import replace

import pytest

from serve_app.webrtc.diagnosis import REMAINS, Facts, ServerError, candidate_kind, diagnose

OFFERED = Facts(remote_kinds={"mdns": 1}, local_kinds=("host",))
REFUSED = ServerError("Unauthorized", 401)
SILENT = ServerError("no answer within 3 s")

EVERY = {
    "webrtc_no_candidates": Facts(),
    "turn_refused": replace(OFFERED, turn_configured=True, turn_error=REFUSED),
    "turn_unreachable": replace(OFFERED, turn_configured=True, turn_error=SILENT),
    "webrtc_udp_blocked": OFFERED,
    "webrtc_no_path": replace(OFFERED, checks_received=3),
    "webrtc_handshake_failed": replace(OFFERED, checks_received=3, dtls="failed"),
    "webrtc_lost": replace(OFFERED, checks_received=9, was_connected=True, silence_s=5.2),
}


@pytest.mark.parametrize("code", EVERY)
def test_facts_lead_to_their_code(code: str) -> None:
    finding = diagnose(EVERY[code])
    assert finding.code == code
    assert finding.sentence.endswith(REMAINS)
    assert "  " not in finding.sentence and ".." not in finding.sentence


def test_ports_to_open_are_named() -> None:
    sentence = diagnose(replace(OFFERED, ports=(40000, 40099))).sentence
    assert "UDP ports 40000 to 40099" in sentence
    assert "set TURN_URLS" in sentence
    assert "Set WEBRTC_UDP_PORTS and open" in diagnose(OFFERED).sentence


def test_a_relay_that_is_there_need_not_be_set() -> None:
    unused = diagnose(replace(OFFERED, turn_configured=True)).sentence
    assert "neither side used it" in unused and "set TURN_URLS" not in unused
    used = replace(OFFERED, turn_configured=True, local_kinds=("host", "relay"))
    assert "let both sides reach the relay" in diagnose(used).sentence


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ServerError("Unauthorized", 401), "TURN_SECRET"),
        (ServerError("Forbidden", 403), "TURN_SECRET"),
        (ServerError("Allocation Mismatch", 437), "try again in a minute"),
        (ServerError("Allocation Quota Reached", 486), "quota"),
        (ServerError("Insufficient Capacity", 508), "relay ports"),
        (ServerError("Server Error", 500), "Its log"),
    ],
)
def test_a_refusal_is_explained(error: ServerError, remedy: str) -> None:
    finding = diagnose(replace(OFFERED, turn_configured=True, turn_error=error))
    assert finding.code == "turn_refused"
    assert str(error) in finding.sentence and remedy in finding.sentence


def test_a_silence_is_counted() -> None:
    assert "for 5 s" in diagnose(EVERY["webrtc_lost"]).sentence
    assert (
        "Nothing was heard" not in diagnose(replace(EVERY["webrtc_lost"], silence_s=0.1)).sentence
    )


def test_a_relay_does_not_explain_what_happened_after_it_was_needed() -> None:
    lost = replace(EVERY["webrtc_lost"], turn_error=SILENT)
    assert diagnose(lost).code == "webrtc_lost"


def test_a_check_from_an_unnamed_address_counts_as_a_candidate() -> None:
    assert diagnose(Facts(checks_received=1)).code == "webrtc_no_path"


def test_a_name_instead_of_an_address_is_mdns() -> None:
    assert candidate_kind("host", "0f0a-77.local") == "mdns"
    assert candidate_kind("srflx", "203.0.113.9") == "srflx"
