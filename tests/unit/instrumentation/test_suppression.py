"""Both of OpenTelemetry's spellings of "record nothing" are obeyed and set."""

from __future__ import annotations

import pytest
from opentelemetry import context as otel_context
from opentelemetry.instrumentation import utils

from tickspan.instrumentation import is_suppressed, suppressed, suppressing


def test_nothing_is_suppressed_unless_asked() -> None:
    assert not is_suppressed()


@pytest.mark.parametrize("key", [otel_context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation"])
def test_both_of_upstreams_keys_are_obeyed(key: str) -> None:
    token = otel_context.attach(otel_context.set_value(key, value=True))
    asked = is_suppressed()
    otel_context.detach(token)
    assert (asked, is_suppressed()) == (True, False)


def test_upstreams_context_manager_is_obeyed() -> None:
    with utils.suppress_instrumentation():
        assert is_suppressed()


def test_upstreams_instrumentors_obey_ours() -> None:
    with suppressed():
        assert is_suppressed()
        assert not utils.is_instrumentation_enabled()
    assert not is_suppressed()
    assert utils.is_instrumentation_enabled()


def test_a_context_in_which_silence_is_kept_leaves_the_given_one_alone() -> None:
    context = otel_context.set_value("desk", "fx")
    silent = suppressing(context)
    assert (context.get("suppress_instrumentation"), silent.get("desk")) == (None, "fx")
