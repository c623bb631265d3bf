"""The page: the built front end, served at `/`.

Every path that is no file is the page itself, which shows what its address says.
"""

import asyncio
import gzip
import stat
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from web_server.errors import NotFound
from web_server.sentences import Sentence

POLICY = (
    # Inline styles are set by the component library and by formulas; scripts never are.
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    # Pictures and answers come as blobs, and the direct socket leads to the engine's own address.
    "img-src 'self' blob: data:; media-src 'self' blob: data:; font-src 'self' data:; "
    "connect-src 'self' ws: wss: blob: data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}
IMMUTABLE = "public, max-age=31536000, immutable"
"""A year. The build puts a hash of the content into the names of these files."""

HASHED = "assets"

TEXTS = {".js", ".css", ".svg", ".json"}
"""Files that become a third when they are compressed; pictures and fonts are already."""

KEPT_COMPRESSED = 200
"""Files: a build has some tens, of 100 kB at most as a rule."""

NO_ROUTE = Sentence("There is nothing at this address. The API is described in its OpenAPI.")
NO_FILE = Sentence("There is no such file. Load the page again: it may have been renewed.")

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Virtual Tutor</title>
<h1>The page is not built yet</h1>
<p>Run this in the folder of Virtual Tutor, and load the page again:</p>
<pre>make page</pre>
<p lang="zh-CN">网页还没有构建。请在 Virtual Tutor 的文件夹里运行上面的命令，然后重新加载。</p>
<p>The API works without it: <a href="/api/openapi.json">its description</a>.</p>
</html>
"""

page = APIRouter(include_in_schema=False)
"""Finds the folder in `app.state.frontend`. To be included last: it takes every path."""


@page.api_route("/{path:path}", methods=["GET", "HEAD"])
async def get_page(path: str, request: Request) -> Response:
    folder: Path = request.app.state.frontend
    if path == "api" or path.startswith("api/"):
        raise NotFound(NO_ROUTE)
    found = await asyncio.to_thread(_file, folder, path)
    hashed = path.startswith(f"{HASHED}/")
    if found is not None and hashed and found.suffix in TEXTS and _takes_gzip(request):
        return _packed(found, await asyncio.to_thread(_compressed, found))
    if found is not None:
        return _answer(found, hashed=hashed)
    if hashed:
        raise NotFound(NO_FILE)
    index = await asyncio.to_thread(_file, folder, "index.html")
    return _answer(index) if index else HTMLResponse(NOT_BUILT, 503, HEADERS)


def _answer(file: Path, *, hashed: bool = False) -> Response:
    return FileResponse(
        file, headers={**HEADERS, **({"Cache-Control": IMMUTABLE} if hashed else {})}
    )


def _file(folder: Path, path: str) -> Path | None:
    """A plain file inside of the folder, whatever the path says."""
    try:
        file = (folder / path).resolve()
        inside = file.is_relative_to(folder.resolve()) and stat.S_ISREG(file.stat().st_mode)
    except (OSError, ValueError):  # none, or a name that no file can have
        return None
    return file if inside else None


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _packed(file: Path, content: bytes) -> Response:
    headers = {**HEADERS, "Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"}
    kind = guess_type(file.name)[0]
    return Response(content, headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)


@lru_cache(KEPT_COMPRESSED)
def _compressed(file: Path) -> bytes:
    """Its name holds a hash of its content, so it never changes."""
    return gzip.compress(file.read_bytes(), mtime=0)
