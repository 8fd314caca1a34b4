"""A trace as Markdown: what a chat, an issue or a post-mortem takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from opentelemetry.trace import StatusCode

from tickspan.received import ReceivedSpan
from tickspan.waterfall import LABEL, Axis
from tickspan_desk.views.criticalpath import critical_path, held
from tickspan_desk.views.text import shown
from tickspan_desk.views.tree import Node, Tree, service_of

__all__ = ["LINES_MAX", "trace_as_markdown"]

LINES_MAX: Final = 200
"""Spans of the waterfall."""
_HELD_MAX: Final = 10
_WIDTH: Final = 40
_MEANS_SOMETHING: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~])")


def trace_as_markdown(spans: Sequence[ReceivedSpan]) -> str:
    """Facts, the waterfall as text, a table of what held it up. `spans` are of one trace, at least one."""
    tree = Tree(spans)
    first = tree.roots[0]
    errors = sum(node.span.status.code is StatusCode.ERROR for node in tree.nodes)
    services = sorted({service_of(node.span) for node in tree.nodes} - {""})
    facts = (
        f"Trace `{first.span.trace_id}`, {len(tree.nodes):,} spans, {errors:,} failed, "
        f"of {', '.join(map(_text, services)) or 'a service without a name'}."
    )
    lines = [
        f"## {_text(first.span.name)}: {_ms(tree.end_ns - tree.start_ns)}",
        "",
        facts,
        "",
        *_fenced(list(_waterfall(tree))),
        "",
        "| held up by | service | itself | of the trace |",
        "| --- | --- | ---: | ---: |",
        *_held(tree),
        "",
    ]
    return "\n".join(lines)


def _waterfall(tree: Tree) -> Iterator[str]:
    axis = Axis.of([node.span for node in tree.nodes], _WIDTH)
    for number, (node, depth) in enumerate(tree.walk()):
        if number == LINES_MAX:
            yield f"… {len(tree.nodes) - LINES_MAX:,} more spans"
            return
        yield _line(tree, axis, node, depth)


def _line(tree: Tree, axis: Axis, node: Node, depth: int) -> str:
    name = " ".join(shown(node.span.name, LABEL).split())
    label = f"{'  ' * min(depth, 12)}{name}"
    label = label if len(label) < LABEL else f"{label[: LABEL - 2]}…"
    failed = "  failed" if node.span.status.code is StatusCode.ERROR else ""
    offset, duration = (node.start_ns - tree.start_ns) / 1e6, node.duration_ns / 1e6
    return (
        f"{label:<{LABEL}}{axis.bar(node.start_ns, node.end_ns)}{offset:>10.2f}{duration:>10.2f} ms{failed}"
    )


def _held(tree: Tree) -> Iterator[str]:
    for one in held(tree, critical_path(tree))[:_HELD_MAX]:
        name = "nothing was recorded" if one.node is None else _text(one.node.span.name)
        service = "" if one.node is None else _text(service_of(one.node.span))
        yield f"| {name} | {service} | {_ms(one.ns)} | {one.share:.1%} |"


def _fenced(lines: list[str]) -> list[str]:
    """In a fence that nothing within it ends."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *lines, fence]


def _text(text: str) -> str:
    """A text within a line of Markdown or a cell of its tables."""
    return _MEANS_SOMETHING.sub(r"\\\1", " ".join(shown(text, 120).split()))


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:,.2f} ms"
