"""One question to a tutor through the web server, and the answer as it is made.

    python lesson.py http://127.0.0.1:8000 student@example.com student123 "Why does it rain?"

Needs `httpx` and `websockets`. Prints the words as they are written and what of the course they
stand on, and keeps the voice in answer.wav.
"""

import base64
import json
import sys
from pathlib import Path

import httpx
from websockets.sync.client import connect


def main(server: str, email: str, password: str, question: str) -> None:
    with httpx.Client(base_url=server, timeout=30) as http:
        account = {"email": email, "password": password}
        login = http.post("/api/auth/login", json=account).raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {login['access_token']}"

        tutors = http.get("/api/student/tutors").raise_for_status().json()
        tutor = tutors[0]
        print(f"{tutor['name']} is listening.")
        wish = {"tutor_id": tutor["id"]}
        session = http.post("/api/student/sessions", json=wish).raise_for_status().json()
        try:
            ask(server, login, session["session_id"], question)
        finally:
            http.delete(f"/api/student/sessions/{session['session_id']}")


def ask(server: str, login: dict, session_id: str, question: str) -> None:
    url = server.replace("http", "ws", 1) + f"/api/ws/proxy/user/{login['user']['id']}"
    # The login goes in a header, so that it stands in no log; a browser uses a subprotocol.
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    with connect(url, additional_headers=headers, max_size=None) as socket:
        socket.send(json.dumps({"type": "hello", "features": ["deltas", "sources"]}))
        message = {"type": "text", "content": question, "engine_session_id": session_id}
        socket.send(json.dumps(message))
        for frame in socket:
            event = json.loads(frame)
            match event["type"]:
                case "text_delta":
                    print(event["content"], end="", flush=True)
                case "sources":
                    for source in event["items"]:
                        print(f"\n  {source['document']}: “{source['quote']}”", end="")
                case "error":
                    print(f"\n{event['code']}: {event['content']}", file=sys.stderr)
                case "text":  # the whole answer; it comes last
                    if event.get("audio"):
                        Path("answer.wav").write_bytes(base64.b64decode(event["audio"]))
                    print()
                    return


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
