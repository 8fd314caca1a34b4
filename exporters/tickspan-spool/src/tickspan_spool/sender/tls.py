"""TLS: who is trusted, who we are, and files that are rotated under us."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .deadline import Countdown, DeadlineTlsSocket

if TYPE_CHECKING:
    from .destination import Destination

COMPARE_EVERY_S = 30.0
_FILE_BYTES = 4 * 1024 * 1024


class TlsError(OSError):
    """A TLS file cannot be used. One sentence: which file, for what, why."""


class WatchedFiles:
    """Files that are compared every 30 s: by size and times, and where these differ by content."""

    def __init__(self, paths: Sequence[str], clock: Callable[[], float]) -> None:
        self._paths = tuple(dict.fromkeys(paths))
        self._clock = clock
        self._look_at_s = clock()
        self._versions: Mapping[str, tuple[int, ...]] = {}
        self.contents: Mapping[str, bytes] = {}
        """As of the last look."""

    def have_changed(self) -> bool:
        """Whether a look was due and found other contents; the first look always does.

        Raises:
            TlsError: one of them cannot be read.
        """
        now_s = self._clock()
        if now_s < self._look_at_s:
            return False
        self._look_at_s = now_s + COMPARE_EVERY_S
        versions = {path: _version(path) for path in self._paths}
        if versions == self._versions and self._versions:
            return False
        contents = {path: _read(path) for path in self._paths}
        is_same, is_first = contents == self.contents, not self._versions
        self._versions, self.contents = versions, contents
        return is_first or not is_same

    def look_again_soon(self) -> None:
        """What was found cannot be used: look at the next request, not in 30 s, and take it as changed."""
        self._look_at_s = self._clock()
        self._versions = {}


def _version(path: str) -> tuple[int, ...]:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise TlsError(f"TLS file {path}: {error.strerror}") from error
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_BYTES)
    except OSError as error:
        raise TlsError(f"TLS file {path}: {error.strerror}") from error


class TlsContexts:
    """The context for new connections of one destination.

    A context is made anew when its files change. Files that cannot be used, such as a pair of which only one
    half is rotated, leave the one that works.
    """

    def __init__(self, destination: Destination, countdown: Countdown, clock: Callable[[], float]) -> None:
        self._certificate = destination.certificate
        self._client_certificate = destination.client_certificate
        self._client_key = destination.client_key
        paths = [path for path in (self._certificate, self._client_certificate, self._client_key) if path]
        self._files = WatchedFiles(paths, clock)
        self._socket_class = type("DeadlineTlsSocket", (DeadlineTlsSocket,), {"countdown": countdown})
        self._context: ssl.SSLContext | None = None
        self.contents: Mapping[str, bytes] = {}
        """The files that the present context was made of, by path."""

    def current(self) -> ssl.SSLContext:
        """The same object until the files change.

        Raises:
            TlsError: a file cannot be used, and none could before.
        """
        try:
            if self._files.have_changed() or self._context is None:
                self._context = self._make()
                self.contents = self._files.contents
        except TlsError:
            self._files.look_again_soon()
            if self._context is None:
                raise
        return self._context

    def explain(self, error: ssl.SSLError) -> str:
        """One sentence: what went wrong, and what was shown."""
        shown = f", {self._client_certificate} was shown" if self._client_certificate else ""
        return f"TLS: {error.reason or error}{shown}"

    def explain_refusal(self, error: ssl.SSLCertVerificationError, issuer: str) -> str:
        """One sentence: why the server is not trusted, who would have been, by which file, whom we met."""
        met = f", the server's was issued by '{issuer}'" if issuer else ""
        return f"the server's certificate: {error.verify_message}; {self._trust()}{met}"

    def _trust(self) -> str:
        if self._certificate is None:
            return "the system's authorities are trusted"
        names = self._authorities()
        return f"only {' and '.join(names) or 'what is'} in {self._certificate} is trusted"

    def _authorities(self) -> list[str]:
        if self._context is None:
            return []
        subjects = (entry.get("subject") for entry in self._context.get_ca_certs())
        return [f"'{_common_name(subject)}'" for subject in subjects][:3]

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = self._socket_class
        self._trust_authorities(context)
        if self._client_certificate:
            self._show(context, self._client_certificate)
        return context

    def _trust_authorities(self, context: ssl.SSLContext) -> None:
        """The configured file and nothing else, whatever SSL_CERT_FILE or REQUESTS_CA_BUNDLE say."""
        if self._certificate is None:
            _trust_system(context)
            return
        try:
            context.load_verify_locations(cafile=self._certificate)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(f"CA file {self._certificate}: no certificates in PEM form: {error}") from error

    def _show(self, context: ssl.SSLContext, certificate: str) -> None:
        try:
            context.load_cert_chain(certificate, self._client_key, password=_refuse_to_ask)
        except (ssl.SSLError, OSError, ValueError) as error:
            where = f"{certificate} and {self._client_key}" if self._client_key else certificate
            raise TlsError(f"client certificate {where}: no matching pair in PEM form: {error}") from error


def _refuse_to_ask() -> str:
    """Without a callback OpenSSL asks on the terminal, and waits."""
    raise ValueError("the key is encrypted; a daemon cannot ask for its password")


def _trust_system(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        context.load_default_certs()
        return
    try:
        import certifi  # only where the system has none
    except ImportError:
        return
    context.load_verify_locations(cafile=certifi.where())


def _common_name(subject: object) -> str:
    """From `getpeercert`'s nested tuples; empty when there is none."""
    rows = subject if isinstance(subject, tuple) else ()
    pairs = dict(pair for row in rows for pair in row)
    return str(pairs.get("commonName") or pairs.get("organizationName") or "?")
