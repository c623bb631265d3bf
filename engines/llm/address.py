"""Where a model's server is: what of its URL may be shown, and how it is reached."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    """Without a password, so that sentences and logs may show it."""
    login: tuple[str, str] | None = field(default=None, repr=False)
    """Name and password, where the URL named them."""

    @classmethod
    def of(cls, url: str) -> "Address":
        parts = urlsplit(url)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        if parts.username is None:
            return cls(shown)
        return cls(shown, (unquote(parts.username), unquote(parts.password or "")))

    def client_options(self) -> dict[str, Any]:
        """For an httpx client. What is said on this machine stays here: no proxy is asked to reach
        it, whatever HTTP_PROXY says."""
        direct = {"http://": None, "https://": None} if _is_here(self.url) else None
        return {"auth": self.login, "mounts": direct}


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
