"""What each notifier sends to a real server, and what it makes of the answer."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tickspan.alerts.notice import Notice, NoticeState
from tickspan.alerts.notifiers.making import make
from tickspan.alerts.notifiers.notifier import Fate, Notifier, Verdict
from tickspan.alerts.notifiers.secrets import OptionError
from tickspan.alerts.notifiers.webhook import SIGNATURE
from tickspan.analysis.rules.ruleset import NotifierSettings

NOW_S = 1_700_000_010.0
NoticeMaker = Callable[..., Notice]


def made(kind: str, environ: Mapping[str, str] | None = None, **options: Any) -> Notifier:
    (only,) = make(NotifierSettings("pager", kind, options), environ or {})
    return only.notifier


def test_an_alertmanager_gets_alerts_that_end_in_a_minute(http_server: Any, notice: NoticeMaker):
    link = "https://traces.example/{{ trace_id }}"
    notifier = made("alertmanager", urls=[f"{http_server.url}/am/"], trace_link=link)
    assert notifier.send([notice()], NOW_S) == Verdict(Fate.TAKEN)
    (request,) = http_server.requests
    assert (request.path, request.headers["content-type"]) == ("/am/api/v2/alerts", "application/json")
    assert json.loads(request.body) == [
        {
            "labels": {"alertname": "SlowVenue", "severity": "error", "trading_venue_name": "binance"},
            "annotations": {
                "summary": "p95 134 ms at binance",
                "trace_url": f"https://traces.example/{'ab' * 16}",
                "value": "134 ms",
                "trace_id": "ab" * 16,
            },
            "startsAt": "2023-11-14T22:13:20.250Z",
            "endsAt": "2023-11-14T22:14:30.000Z",
        }
    ]


def test_an_alert_that_ended_is_posted_with_its_end(http_server: Any, notice: NoticeMaker):
    notifier = made("alertmanager", urls=[http_server.url])
    ended = notice().resolved(1_700_000_005.0, "gone")
    notifier.send([ended], NOW_S)
    (alert,) = json.loads(http_server.requests[0].body)
    assert (alert["endsAt"], alert["annotations"]["reason"]) == ("2023-11-14T22:13:25.000Z", "gone")


def test_of_a_refused_batch_each_alert_is_posted_once_more_alone(http_server: Any, notice: NoticeMaker):
    http_server.answer_with(400, where=b"okx")
    notifier = made("alertmanager", urls=[http_server.url])
    verdict = notifier.send([notice("binance"), notice("okx"), notice("kraken")], NOW_S)
    assert verdict == Verdict(Fate.TAKEN, "1 alerts were refused", refused=(1,))
    assert [len(json.loads(request.body)) for request in http_server.requests] == [3, 1, 1, 1]


def test_a_webhook_gets_version_4_and_a_signature_over_the_body(
    http_server: Any, notice: NoticeMaker, tmp_path: Path
):
    (tmp_path / "key").write_text("s3cret\n")
    notifier = made("webhook", url=f"{http_server.url}/hook?team=a", secret_file=str(tmp_path / "key"))
    alerts = [notice("binance"), notice("okx", state=NoticeState.RESOLVED, ends_at_s=1_700_000_005.0)]
    assert notifier.send(alerts, NOW_S) == Verdict(Fate.TAKEN)
    (request,) = http_server.requests
    signature = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert (request.path, request.headers[SIGNATURE.lower()]) == ("/hook?team=a", f"sha256={signature}")
    told = json.loads(request.body)
    assert {name: value for name, value in told.items() if name != "alerts"} == {
        "version": "4",
        "groupKey": '{}:{alertname="SlowVenue"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "pager",
        "groupLabels": {"alertname": "SlowVenue"},
        "commonLabels": {"alertname": "SlowVenue", "severity": "error"},
        "commonAnnotations": {},
        "externalURL": "",
    }
    assert [(one["status"], one["endsAt"]) for one in told["alerts"]] == [
        ("firing", "0001-01-01T00:00:00Z"),
        ("resolved", "2023-11-14T22:13:25.000Z"),
    ]


def test_slack_gets_an_attachment_for_each_alert_and_the_number_of_the_rest(
    http_server: Any, notice: NoticeMaker
):
    notifier = made("slack", {"CHAT": f"{http_server.url}/services/T0/B0"}, url="${env:CHAT}")
    alerts = [notice(f"venue-{number}", rule="Slow<Venue>") for number in range(23)]
    assert notifier.send(alerts, NOW_S) == Verdict(Fate.TAKEN)
    told = json.loads(http_server.requests[0].body)
    assert told["text"] == "[FIRING 23] Slow&lt;Venue&gt; and 22 more"
    assert len(told["attachments"]) == 21
    assert told["attachments"][0] == {
        "color": "danger",
        "fallback": "firing [error] Slow&lt;Venue&gt;: p95 134 ms at venue-0",
        "title": "Slow&lt;Venue&gt;",
        "text": "firing [error] Slow&lt;Venue&gt;: p95 134 ms at venue-0",
        "fields": [
            {"title": "severity", "value": "error", "short": True},
            {"title": "trading_venue_name", "value": "venue-0", "short": True},
        ],
        "ts": 1_700_000_000,
    }
    assert told["attachments"][-1]["text"] == "and 3 more"


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (
            302,
            {"Location": "http://127.0.0.1:1/"},
            Verdict(Fate.REFUSED, "answered 302: redirects are not followed"),
        ),
        (404, {}, Verdict(Fate.REFUSED, "answered 404")),
        (429, {"Retry-After": "7"}, Verdict(Fate.LATER, "answered 429", 7.0)),
        (503, {}, Verdict(Fate.LATER, "answered 503")),
    ],
)
def test_an_answer_says_whether_to_try_again(
    http_server: Any, notice: NoticeMaker, status: int, headers: dict[str, str], verdict: Verdict
):
    http_server.answer_with(status, headers)
    assert made("webhook", url=http_server.url).send([notice()], NOW_S) == verdict
    assert len(http_server.requests) == 1


def test_what_went_wrong_is_told_without_the_secret_address(notice: NoticeMaker):
    notifier = made("slack", {"CHAT": "http://127.0.0.1:1/services/T0/B0/hush"}, url="${env:CHAT}")
    verdict = notifier.send([notice()], NOW_S)
    assert (verdict.fate, "127.0.0.1:1" in verdict.trouble) == (Fate.LATER, True)
    assert "hush" not in f"{verdict}{notifier!r}"


def test_a_token_goes_with_the_request_and_is_read_anew_when_it_is_rotated(
    http_server: Any, notice: NoticeMaker, tmp_path: Path
):
    file = tmp_path / "token"
    file.write_text("first")
    notifier = made("webhook", url=http_server.url, bearer_token_file=str(file))
    notifier.send([notice()], NOW_S)
    file.write_text("second")
    notifier.send([notice()], NOW_S)
    told = [request.headers["authorization"] for request in http_server.requests]
    assert told == ["Bearer first", "Bearer second"]


def test_a_secret_that_cannot_be_read_is_no_reason_to_give_up(notice: NoticeMaker, tmp_path: Path):
    missing = tmp_path / "missing"
    notifier = made("slack", url_file=str(missing))
    told = f"url_file {missing}: No such file or directory"
    assert notifier.send([notice()], NOW_S) == Verdict(Fate.LATER, told)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (
            "slack",
            {"url": "https://hooks.slack.com/services/hush"},
            "url: expected url_file or '${env:VARIABLE}'",
        ),
        ("webhook", {}, "url: expected url_file or url, got neither"),
        (
            "webhook",
            {"url": "http://h", "secret": "hush"},
            "secret: expected secret_file or '${env:VARIABLE}'",
        ),
        ("alertmanager", {}, "urls: expected a list of addresses"),
        ("email", {"host": "h", "from": "a@b", "to": [], "password": "x"}, "to: expected an address"),
        (
            "email",
            {"host": "h", "from": "a@b", "to": ["c@d"], "tls": "maybe"},
            "tls: expected starttls or none",
        ),
    ],
)
def test_an_option_that_cannot_be_used_is_named_and_its_value_is_not(
    kind: str, options: dict[str, Any], told: str
):
    with pytest.raises(OptionError) as caught:
        made(kind, **options)
    assert str(caught.value).startswith(told)
    assert "hush" not in str(caught.value)


def mail_options(server: Any, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "from": "alerts@example.com",
        "to": ["desk@example.com", "night@example.com"],
        **more,
    }


def test_a_mail_has_a_block_for_each_alert(smtp_server: Any, notice: NoticeMaker):
    notifier = made("email", **mail_options(smtp_server, tls="none"))
    ended = notice("okx").resolved(1_700_000_005.0, "gone")
    assert notifier.send([notice(), ended], NOW_S) == Verdict(Fate.TAKEN)
    mail = email.message_from_string(smtp_server.mails[0], policy=email.policy.default)
    assert dict(mail) == {
        "From": "alerts@example.com",
        "To": "desk@example.com, night@example.com",
        "Subject": "[FIRING 1, RESOLVED 1] SlowVenue and 1 more",
        "Date": "Tue, 14 Nov 2023 22:13:30 +0000",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert mail.get_content() == (
        "firing [error] SlowVenue: p95 134 ms at binance\n"
        "  since 2023-11-14 22:13:20 UTC\n"
        "  severity: error\n"
        "  trading_venue_name: binance\n"
        "\n"
        "resolved [error] SlowVenue: p95 134 ms at okx (gone)\n"
        "  since 2023-11-14 22:13:20 UTC\n"
        "  severity: error\n"
        "  trading_venue_name: okx\n"
    )


def test_a_password_is_sent_after_starttls_only(
    secure_smtp_server: Any, certificate: tuple[Path, Path], notice: NoticeMaker
):
    options = mail_options(
        secure_smtp_server, username="desk", password="${env:MAIL}", ca_file=str(certificate[0])
    )
    assert made("email", {"MAIL": "hush"}, **options).send([notice()], NOW_S) == Verdict(Fate.TAKEN)
    verbs = [command.split(" ")[0].upper() for command in secure_smtp_server.commands]
    assert verbs == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert len(secure_smtp_server.mails) == 1


def test_a_server_without_starttls_gets_nothing(smtp_server: Any, notice: NoticeMaker):
    verdict = made("email", **mail_options(smtp_server)).send([notice()], NOW_S)
    told = f"127.0.0.1:{smtp_server.port}: expected STARTTLS, which it lacks; or set tls: none"
    assert verdict == Verdict(Fate.LATER, told)
    assert smtp_server.mails == []


@pytest.mark.parametrize(("answer", "fate"), [("450 later", Fate.LATER), ("550 never", Fate.REFUSED)])
def test_a_mail_servers_code_says_whether_to_try_again(
    smtp_server: Any, notice: NoticeMaker, answer: str, fate: Fate
):
    smtp_server.answers["RCPT"] = answer
    verdict = made("email", **mail_options(smtp_server, tls="none")).send([notice()], NOW_S)
    assert verdict == Verdict(fate, f"127.0.0.1:{smtp_server.port}: answered {answer[:3]}")
