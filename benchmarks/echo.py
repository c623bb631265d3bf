"""The same small WebSocket application for bare uvicorn and for Ray Serve."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from ray import serve
from ray.serve import Application


def create_echo() -> FastAPI:
    echo = FastAPI()

    @echo.get("/health")
    async def health() -> str:
        return "ok"

    @echo.websocket("/echo")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    return echo


class Hello:
    async def hello(self) -> str:
        return "hello"


def build_echo(args: dict[str, str]) -> Application:
    @serve.ingress(create_echo)
    class Echo:
        pass

    return serve.deployment(Echo, name="Echo", max_ongoing_requests=1000).bind()  # type: ignore[attr-defined,no-any-return]  # Serve's annotations lose the deployment


def build_hello(args: dict[str, str]) -> Application:
    return serve.deployment(Hello, name="Hello").bind()  # type: ignore[attr-defined,no-any-return]  # as above


def hello_world(port: int) -> dict[str, object]:
    """The two-deployment configuration that start and idle cost are compared with."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {"name": "echo", "route_prefix": "/", "import_path": "benchmarks.echo:build_echo"},
            {"name": "hello", "route_prefix": None, "import_path": "benchmarks.echo:build_hello"},
        ],
    }
