"""Ray's dashboard: where it is, and which applications it sees."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ANSI = re.compile(r"\x1b\[[0-9;]*m")
ADDRESS = re.compile(r"[Vv]iew the dashboard at:?\s*(https?://\S+|[\w.]+:\d+)")

ASK_LIMIT_S = 5.0


@dataclass(frozen=True)
class Application:
    """One box of the graph as Serve sees it."""

    name: str
    status: str
    message: str
    replicas: dict[str, int]
    """How many are in which state: RUNNING, STARTING, …"""

    @property
    def running(self) -> bool:
        return self.status == "RUNNING"


def dashboard_url(log: str) -> str | None:
    """Ray says it in its log, and takes the next port when 8265 is taken."""
    found = ADDRESS.search(ANSI.sub("", log))
    if found is None:
        return None
    return found[1] if found[1].startswith("http") else f"http://{found[1]}"


def wants_token() -> bool:
    """Whether the dashboard asks for a login; Ray's rule for a cluster of one's own."""
    return os.environ.get("RAY_AUTH_MODE", "token").lower() == "token"


def applications(url: str) -> list[Application] | None:
    """None while the dashboard does not answer, or does not let us in."""
    headers = {"Authorization": f"Bearer {token}"} if (token := _token()) else {}
    try:
        # `trust_env`: a proxy of the company knows nothing of this machine's loopback.
        with httpx.Client(trust_env=False, timeout=ASK_LIMIT_S) as http:
            answer = http.get(f"{url}/api/serve/applications/", headers=headers)
        if answer.status_code != 200:
            return None
        listed: dict[str, dict[str, Any]] = answer.json().get("applications") or {}
    except (httpx.HTTPError, ValueError):
        return None
    return [_application(name, seen) for name, seen in listed.items()]


def _application(name: str, seen: dict[str, Any]) -> Application:
    deployments = (seen.get("deployments") or {}).values()
    replicas: dict[str, int] = {}
    messages = [seen.get("message") or ""]
    for deployment in deployments:
        messages.append(deployment.get("message") or "")
        for replica in deployment.get("replicas") or []:
            replicas[replica["state"]] = replicas.get(replica["state"], 0) + 1
    message = "\n".join(dict.fromkeys(filter(None, messages)))
    return Application(name, seen.get("status", "UNKNOWN"), message, replicas)


def _token() -> str:
    """The token of this user, where Ray looks for it."""
    if not wants_token():
        return ""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""
