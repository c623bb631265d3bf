"""Ray's dashboard: where it is, and which applications it sees."""

import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.errors import CommandError
from deployments.gpu_fit import unplaced

ANSI = re.compile(r"\x1b\[[0-9;]*m")
ADDRESS = re.compile(r"[Vv]iew the dashboard at:?\s*(https?://\S+|[\w.]+:\d+)")

ASK_LIMIT_S = 5.0

DEPLOY_LIMIT_S = 60.0
"""The first deployment over the dashboard starts a connection of its own to the cluster."""

NO_DASHBOARD = "`tutor restart` deploys it all anew."


@dataclass(frozen=True)
class Application:
    """One box of the graph as Serve sees it."""

    name: str
    status: str
    message: str
    replicas: dict[str, int]
    """How many are in which state: RUNNING, STARTING, …"""
    pids: tuple[int, ...] = ()
    """Of the replicas, on whichever node."""
    waiting: str = ""
    """One sentence: for what a replica finds no room in the cluster."""

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
    try:
        with _http(ASK_LIMIT_S) as http:
            answer = http.get(f"{url}/api/serve/applications/")
        if answer.status_code != 200:
            return None
        listed: dict[str, dict[str, Any]] = answer.json().get("applications") or {}
    except (httpx.HTTPError, ValueError):
        return None
    return [_application(name, seen) for name, seen in listed.items()]


def deploy(url: str, graph: dict[str, Any]) -> None:
    """Have Serve run this graph: what it does not list is taken down, and what has not changed is
    left alone. Raises `CommandError`."""
    try:
        with _http(DEPLOY_LIMIT_S) as http:
            answer = http.put(f"{url}/api/serve/applications/", json=graph)
    except httpx.HTTPError as error:
        raise CommandError(
            f"Ray's dashboard at {url} does not answer ({type(error).__name__}).", NO_DASHBOARD
        ) from error
    if answer.status_code != 200:
        raise CommandError(f"Serve refuses the graph: {answer.text.strip()[-500:]}", NO_DASHBOARD)


def _application(name: str, seen: dict[str, Any]) -> Application:
    deployments = (seen.get("deployments") or {}).values()
    replicas = [replica for each in deployments for replica in each.get("replicas") or []]
    messages = [each.get("message") or "" for each in (seen, *deployments)]
    return Application(
        name,
        seen.get("status", "UNKNOWN"),
        "\n".join(dict.fromkeys(filter(None, messages))),
        dict(Counter(replica["state"] for replica in replicas)),
        tuple(replica["pid"] for replica in replicas if replica.get("pid")),
        _waiting(unplaced(seen, time.time())),
    )


def _waiting(needs: dict[str, float]) -> str:
    wanted = " and ".join(f"{needs[name]:g} {name}" for name in ("GPU", "CPU") if needs.get(name))
    return f"A replica needs {wanted}, and waits for a node with so much free." if wanted else ""


def _http(limit_s: float) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if (token := _token()) else {}
    # `trust_env`: a proxy of the company knows nothing of this machine's loopback.
    return httpx.Client(trust_env=False, timeout=limit_s, headers=headers)


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
