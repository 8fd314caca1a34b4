"""What alerts are posted to: an Alertmanager that tells a webhook."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from alert_programs import Webhook

from scripts.alertmanager import Alertmanager, running_alertmanager


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A webhook receiver."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if kept.status == 200:
                kept.posts.append((time.time(), json.loads(body)))
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = Webhook(f"http://127.0.0.1:{server.server_address[1]}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@pytest.fixture
def paging(alertmanager: Path, webhook: Webhook, tmp_path: Path) -> Iterator[Alertmanager]:
    """An Alertmanager that tells the webhook of every change at once."""
    folder = tmp_path / "am"
    folder.mkdir()
    configuration = folder / "alertmanager.yaml"
    configuration.write_text(
        "route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{webhook.url}', send_resolved: true}}]}}]\n"
    )
    with running_alertmanager(alertmanager, folder, configuration) as running:
        yield running
