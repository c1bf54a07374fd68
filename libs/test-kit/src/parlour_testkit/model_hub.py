"""A model hub on loopback that can be told to fail the way networks fail."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class ModelHub:
    """Serves ``/{repo}/resolve/{revision}/{file}`` over real HTTP.

    Attributes:
        files: path below the revision to content.
        repo: name of its only repository.
        ranges: whether it can continue a file in the middle.
        drops: for each coming answer, after how many bytes it is cut; then none is.
        statuses: for each coming request, a status to refuse it with; then none is.
        redirect: where its answers send everybody first, before the path.
        hold_after: bytes after which an answer waits until ``release`` is set.
        announce: whether the length is sent ahead.
        requests: the path and Range header of every request that came.
    """

    files: Mapping[str, bytes]
    repo: str = "home/voice"
    ranges: bool = True
    drops: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirect: str | None = None
    hold_after: int | None = None
    announce: bool = True
    release: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _answer(hub, self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
                """Stay silent: the test looks at requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """Its address, as HF_ENDPOINT takes it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def models_toml(name: str, files: Mapping[str, bytes], sources: str = "") -> str:
    """A models.toml that lists one model of kind ``stt`` with these files.

    Args:
        name: the model.
        files: path to content, from which size and SHA-256 are taken.
        sources: TOML of its sources, such as that of ``hub_source``.
    """
    listed = "".join(
        f'  {{ path = "{path}", size = {len(content)}, '
        f'sha256 = "{hashlib.sha256(content).hexdigest()}" }},\n'
        for path, content in files.items()
    )
    return (
        f'[models."{name}"]\nkind = "stt"\nlicence = "MIT"\ndescription = "A test model"\n'
        f"files = [\n{listed}]\n{sources}"
    )


def hub_source(name: str, repo: str = "home/voice") -> str:
    """The TOML of a hub source for the model ``name``."""
    return f'[[models."{name}".sources]]\ntype = "hub"\nrepo = "{repo}"\nrevision = "{REVISION}"\n'


def _answer(hub: ModelHub, request: BaseHTTPRequestHandler) -> None:
    wanted = request.headers.get("Range")
    hub.requests.append((request.path, wanted))
    path = request.path
    if hub.redirect is not None:
        if not path.startswith(hub.redirect):
            request.send_response(302)
            request.send_header("Location", hub.redirect + path)
            request.end_headers()
            return
        path = path.removeprefix(hub.redirect)
    content = hub.files.get(path.removeprefix(f"/{hub.repo}/resolve/{REVISION}/"))
    status = hub.statuses.pop(0) if hub.statuses else 200 if content is not None else 404
    if status != 200 or content is None:
        request.send_error(status)
        return
    start = 0
    if wanted is not None and hub.ranges:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            request.send_error(416)
            return
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        request.send_response(200)
    if hub.announce:
        request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    body = content[start:]
    if hub.drops:
        body = body[: hub.drops.pop(0)]
    if hub.hold_after is not None and not hub.release.is_set():
        request.wfile.write(body[: hub.hold_after])
        request.wfile.flush()
        hub.release.wait()
        body = body[hub.hold_after :]
    try:
        request.wfile.write(body)
    except OSError:
        # The other side has gone, as some tests want it.
        request.close_connection = True
