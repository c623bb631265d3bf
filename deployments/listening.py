"""Where this Serve instance listens: what decides whether strangers can reach it."""

from ray.serve.context import _get_global_client

ALL_INTERFACES = "0.0.0.0"


def listening() -> tuple[str, int]:
    """Host and port of Serve's HTTP proxy, as it was really started: the configuration file may
    say otherwise than the environment. Serve has no public call for this."""
    client = _get_global_client()
    assert client is not None, "only called where Serve runs"
    http = client.http_config
    return http.host or ALL_INTERFACES, http.port
