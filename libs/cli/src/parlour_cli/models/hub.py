"""Files from a model hub: one commit, resumed after an interruption, tried again after a drop."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from parlour_kit.backoff import Backoff
from parlour_kit.models import FileEntry, HubSource

from parlour_cli.models.errors import NetworkError, SourceError, WrongContentError
from parlour_cli.models.files import CHUNK, Sink
from parlour_cli.models.progress import Progress

DEFAULT_ENDPOINT = "https://huggingface.co"
TRIES = 6
"""Attempts in a row that may bring nothing new."""

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _AgainError(Exception):
    """This attempt failed; another may not. The text says why."""


@dataclass
class Hub:
    """A hub that serves ``{endpoint}/{repo}/resolve/{revision}/{file}``.

    Attributes:
        endpoint: its address, http or https.
        timeout_s: seconds without a byte after which a connection counts as dropped.
        sleep: waits between attempts, in seconds.
        backoff: how long.
    """

    endpoint: str
    timeout_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    backoff: Callable[[], Backoff] = lambda: Backoff(0.5, 8.0)

    @classmethod
    def from_environment(cls) -> Hub:
        """The hub named by HF_ENDPOINT, or the default one."""
        return cls(os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT)

    def fetch(
        self,
        label: str,
        source: HubSource,
        need: Sequence[FileEntry],
        folder: Path,
        progress: Progress,
    ) -> None:
        """Bring files into a folder, going on after the bytes that are there.

        Args:
            label: what the progress is shown for.
            source: the repository and its commit.
            need: the files to bring.
            folder: where to, at each file's path.
            progress: told the bytes that are here.

        Raises:
            NetworkError: the hub cannot be reached, or drops every connection.
            SourceError: the hub refuses or has no such file.
            WrongContentError: a file is not the listed one; it has been deleted.
            PullError: a file cannot be written.
        """
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError("HF_ENDPOINT is not an http or https address")
        progress.say(f"{label}: downloading {source.repo} from {parts.hostname}")
        progress.begin(label, sum(file.size for file in need))
        before = 0
        for file in need:
            path = quote(f"{source.repo}/resolve/{source.revision}/{source.remote(file.path)}")
            fetch = _Fetch(self, f"{self.endpoint.rstrip('/')}/{path}", label, progress, before)
            fetch.run(file, folder / file.path)
            before += file.size


@dataclass
class _Fetch:
    """One file's way from the hub."""

    hub: Hub
    url: str
    label: str
    progress: Progress
    before: int

    def run(self, file: FileEntry, path: Path) -> None:
        with Sink(file, path, resume=True) as sink:
            resumed = sink.done > 0
            try:
                self._fill(sink)
                sink.finish()
            except WrongContentError:
                if not resumed:
                    raise
            else:
                return
        # What an earlier run left may have been the wrong part: once more, from nothing.
        self.progress.say(f"{self.label}: the kept part of {file.path} was bad, starting over")
        with Sink(file, path, resume=False) as sink:
            self._fill(sink)
            sink.finish()

    def _fill(self, sink: Sink) -> None:
        backoff, failures, furthest = self.hub.backoff(), 0, sink.done
        while sink.done < sink.entry.size:
            try:
                self._attempt(sink)
                why = "the connection was dropped"
            except _AgainError as error:
                why = str(error)
            if sink.done == sink.entry.size:
                return
            # Only bytes never reached before count: a server that drops each connection
            # at the same place and cannot resume would otherwise be asked for ever.
            failures = 0 if sink.done > furthest else failures + 1
            if failures == 0:
                backoff.reset()
            furthest = max(furthest, sink.done)
            if failures == TRIES:
                host = urlsplit(self.hub.endpoint).hostname
                raise NetworkError(f"{sink.entry.path} could not be had from {host}: {why}")
            self.progress.say(f"{self.label}: {why}, trying again")
            self.hub.sleep(backoff.next())

    def _attempt(self, sink: Sink) -> None:
        headers = {"User-Agent": "parlour", "Accept-Encoding": "identity"}
        if sink.done:
            headers["Range"] = f"bytes={sink.done}-"
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310  # scheme is checked in fetch
        try:
            with _OPENER.open(request, timeout=self.hub.timeout_s) as response:
                self._begin(response, sink)
                while chunk := response.read1(CHUNK):
                    sink.write(chunk)
                    self.progress.at(self.before + sink.done)
        except urllib.error.HTTPError as error:
            error.close()
            self._refused(error.code, sink)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise NetworkError(
                    f"the certificate of {urlsplit(self.url).hostname} is not trusted",
                    hint="check the clock and the package ca-certificates",
                ) from None
            raise _AgainError(f"no connection ({_reason(error.reason)})") from None
        except (http.client.HTTPException, OSError) as error:
            raise _AgainError(f"the connection was dropped ({_reason(error)})") from None

    def _refused(self, status: int, sink: Sink) -> None:
        if status in _BUSY:
            raise _AgainError(f"the hub answered {status}")
        if status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            sink.restart()
            raise _AgainError("the hub cannot continue the file")
        meaning = {
            401: "asks for a login", 403: "refuses access", 404: "has no such file",
        }.get(status, f"answered {status}")  # fmt: skip
        raise SourceError(f"{urlsplit(self.url).hostname} {meaning}: {urlsplit(self.url).path}")

    def _begin(self, response: http.client.HTTPResponse, sink: Sink) -> None:
        """Find the place from which the answer goes on, and refuse one of a wrong size early."""
        if response.status == http.client.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != sink.done:
                sink.restart()
                raise _AgainError("the hub answered with another part of the file")
            total = found[2]
        else:
            total = response.headers.get("Content-Length", "*")
        if total.isdecimal() and int(total) != sink.entry.size:
            # Some other page, perhaps of a log-in: what is already here may still be good.
            raise SourceError(
                f"{urlsplit(self.url).hostname} has {total} bytes instead of {sink.entry.size} "
                f"for {urlsplit(self.url).path}"
            )
        if response.status != http.client.PARTIAL_CONTENT:
            sink.restart()


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or type(error).__name__


def _opener() -> urllib.request.OpenerDirector:
    # Not build_opener: a redirect must not lead to ftp or to a local file.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


_OPENER = _opener()
