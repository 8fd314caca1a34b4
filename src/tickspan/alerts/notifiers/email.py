"""E-mail: one message a minute over SMTP; what comes meanwhile is folded into the next."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, ClassVar, Final

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.notifier import SHOWN, Fate, Verdict, headline, line_of
from tickspan.alerts.notifiers.secrets import OptionError, Secret

__all__ = ["EmailNotifier", "mail_of"]

_TIMEOUT_S: Final = 10.0
_SUBMISSION_PORT: Final = 587
_FIRST_FOR_GOOD: Final = 500


class EmailNotifier:
    """One server, one sender, any number of receivers."""

    per_minute: ClassVar[int] = 1

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> None:
        """Options: `host`, `port` (587), `from`, `to`, `username`, `password` (a secret), `tls`, `ca_file`.

        `tls` is `starttls` (the default, refused by a server without it is an error) or `none`.

        Raises:
            OptionError: one of them cannot be used.
        """
        self._host = _text(options, "host")
        self._port = int(str(options.get("port", _SUBMISSION_PORT)))
        self._sender = _text(options, "from")
        to = options.get("to", ())
        self._receivers = tuple(str(one) for one in ([to] if isinstance(to, str) else to))
        if not self._receivers:
            raise OptionError("to: expected an address, or a list of them, got nothing")
        self._user = str(options.get("username", ""))
        self._password = Secret.of(options, "password")
        self._tls = str(options.get("tls", "starttls"))
        if self._tls not in {"starttls", "none"}:
            raise OptionError(f"tls: expected starttls or none, got '{self._tls}'")
        self._ca_file = options.get("ca_file")
        self._trace_link = str(options.get("trace_link", ""))
        self._environ = environ

    def __repr__(self) -> str:
        return f"<EmailNotifier {self._host}:{self._port} {self._tls} to {len(self._receivers)}>"

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        """One mail with all of them."""
        linked = [notice.with_link(self._trace_link) for notice in notices]
        mail = mail_of(linked, self._sender, self._receivers, now_s)
        try:
            self._deliver(mail)
        except OptionError as error:
            return Verdict(Fate.LATER, str(error))
        except (OSError, smtplib.SMTPException) as error:
            return _verdict(f"{self._host}:{self._port}", error)
        return Verdict(Fate.TAKEN)

    def _deliver(self, mail: EmailMessage) -> None:
        with smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S) as server:
            server.ehlo()
            if self._tls == "starttls":
                server.starttls(context=ssl.create_default_context(cafile=self._ca_file))
                server.ehlo()
            if self._user and self._password is not None:
                server.login(self._user, self._password.value(self._environ))
            server.send_message(mail)


def mail_of(notices: Sequence[Notice], sender: str, receivers: Sequence[str], now_s: float) -> EmailMessage:
    """The mail: a line for each alert, its description, runbook and trace; then how many more there are."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(receivers)
    mail["Subject"] = _on_one_line(headline(notices))
    mail["Date"] = format_datetime(datetime.fromtimestamp(now_s, UTC))
    mail["Auto-Submitted"] = "auto-generated"
    blocks = [_block(notice) for notice in notices[:SHOWN]]
    if len(notices) > SHOWN:
        blocks.append(f"and {len(notices) - SHOWN} more")
    mail.set_content("\n\n".join(blocks) + "\n")
    return mail


def _block(notice: Notice) -> str:
    since = datetime.fromtimestamp(notice.starts_at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [line_of(notice), f"  since {since}"]
    lines += [f"  {name}: {value}" for name, value in notice.labels if name != "alertname"]
    lines += [f"  {name}: {text}" for name, text in notice.annotations.items() if name != "summary" and text]
    return "\n".join(lines)


def _verdict(place: str, error: Exception) -> Verdict:
    """A code of 500 or more is for good, but for a login: a password may be rotated."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _by_code(place, min((code for code, _ in error.recipients.values()), default=500))
        case smtplib.SMTPNotSupportedError():
            return Verdict(Fate.LATER, f"{place}: expected STARTTLS, which it lacks; or set tls: none")
        case smtplib.SMTPAuthenticationError():
            return Verdict(Fate.LATER, f"{place}: the login was refused ({error.smtp_code})")
        case smtplib.SMTPResponseException():
            return _by_code(place, error.smtp_code)
        case ssl.SSLError():
            told = getattr(error, "verify_message", "") or error.reason
            return Verdict(Fate.LATER, f"{place}: TLS: {told}")
        case _:
            return Verdict(Fate.LATER, f"{place}: {getattr(error, 'strerror', None) or type(error).__name__}")


def _by_code(place: str, code: int) -> Verdict:
    fate = Fate.REFUSED if code >= _FIRST_FOR_GOOD else Fate.LATER
    return Verdict(fate, f"{place}: answered {code}")


def _text(options: Mapping[str, Any], name: str) -> str:
    value = str(options.get(name, "")).strip()
    if not value:
        raise OptionError(f"{name}: expected a text, got nothing")
    return value


def _on_one_line(text: str) -> str:
    """A line break in a subject would begin another header."""
    return " ".join(text.split())
