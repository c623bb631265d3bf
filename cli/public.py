"""`tutor up --public HOST`: whether browsers elsewhere could use what runs here, and the addresses
they need."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.errors import WrongUsage
from cli.screen import say
from cli.web import ADD_ADMIN
from foundation.settings import SettingsError, is_loopback
from serve_app.settings import ALL_INTERFACES, Settings
from web_server.settings import WebSettings

NO_KEY = (
    "ENGINE_API_KEY is not set, so anybody who reaches the engine may use all of it. Put one into "
    '`.env`: echo "ENGINE_API_KEY=$(openssl rand -hex 32)" >> .env'
)
DEMO = (
    "The demo accounts are on, and everybody knows their passwords. Set DEMO_ACCOUNTS=false, and "
    f"make an account of your own with `{ADD_ADMIN}`."
)
UDP_ANY = (
    "any: set WEBRTC_UDP_PORTS=50000-50199, so that a firewall can let just these in; or a relay "
    "with TURN_URLS"
)


@dataclass(frozen=True)
class PublicAddress:
    """What a browser elsewhere calls this machine."""

    host: str
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> "PublicAddress":
        """Of `school.example.org`, with a port or `https://` if need be. Raises `WrongUsage`."""
        url = text if "://" in text else f"https://{text}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or any(sign.isspace() for sign in text) or parts.path not in ("", "/"):
            raise WrongUsage(f"{text!r} is no host.", "Give one such as tutor.example.org.")
        if parts.scheme != "https":
            raise WrongUsage(
                f"{text} is not https.",
                "Browsers elsewhere give the microphone to pages over HTTPS only: "
                "configs/nginx.conf brings it.",
            )
        if is_here_only(host):
            raise WrongUsage(
                f"{host} is this machine only.",
                "Give the name by which browsers elsewhere find it.",
            )
        return cls(host, port)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def page(self) -> str:
        return f"https://{self.authority}"

    @property
    def socket(self) -> str:
        return f"wss://{self.authority}"


def is_here_only(host: str) -> bool:
    """Whether this name leads whoever uses it to their own machine, or nowhere."""
    return is_loopback(host) or host.endswith(".localhost") or host in ALL_INTERFACES


def demand_public(address: PublicAddress, settings: Settings, web: WebSettings) -> None:
    """Raises `SettingsError` naming all that stands in the way."""
    wrong = [_socket_fault(address, settings)]
    wrong += [DEMO] if web.demo else []
    wrong += [NO_KEY] if settings.engine_api_key is None else []
    if found := [sentence for sentence in wrong if sentence]:
        raise SettingsError("\n".join(found))


def _socket_fault(address: PublicAddress, settings: Settings) -> str:
    """Why browsers elsewhere could not use WEBSOCKET_URL; empty: they could."""
    mend = f"Set WEBSOCKET_URL={address.socket}."
    if not settings.websocket_url:
        return f"WEBSOCKET_URL is not set, so browsers are told this machine's loopback. {mend}"
    parts = urlsplit(settings.websocket_url)
    if is_here_only(parts.hostname or ""):
        return (
            f"WEBSOCKET_URL is {settings.websocket_url}, which leads to this machine only. {mend}"
        )
    if parts.scheme != "wss":
        return (
            f"WEBSOCKET_URL is {settings.websocket_url}; a page over https may only connect to "
            f"wss. {mend}"
        )
    return ""


def tell_public(address: PublicAddress, settings: Settings) -> None:
    ports = settings.webrtc_ports
    say("A browser elsewhere needs:", "bold")
    say(f"  page      {address.page}")
    say(f"  sockets   {address.socket}/api/ws/proxy/…, and {_engine_socket(settings)}/…")
    say(f"  UDP       {f'{ports[0]} to {ports[1]}, in at this machine' if ports else UDP_ANY}")
    if note := _origin_note(address, settings):
        say(note, "yellow")


def _engine_socket(settings: Settings) -> str:
    return settings.engine_url("").removesuffix("/ws/ws/") + "/ws"


def _origin_note(address: PublicAddress, settings: Settings) -> str:
    """Empty when the page may open the engine's socket, too."""
    allowed = {one.strip().rstrip("/") for one in settings.allowed_origins.split(",")}
    same = urlsplit(settings.websocket_url).hostname == address.host
    if same or allowed & {"*", address.page}:
        return ""
    return (
        "Pages may use the engine's own socket from another host only with "
        f"ALLOWED_ORIGINS={address.page}."
    )
