"""Flame graphs: an SVG that shows what it is told on hover, and one HTML file that zooms and searches.

Nothing is loaded from elsewhere. All text of the profile is escaped, in the SVG and in the page's data.
"""

from __future__ import annotations

import html
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.analysis.profiles import NS_PER_S, SPACE, Profile
from tickspan.profiler.encoding.folded import label

__all__ = ["flame_html", "flame_svg", "tree"]

_WIDTH: Final = 1200.0
_ROW: Final = 17
_HEAD: Final = 36
_NARROWEST: Final = 0.3
_LETTER: Final = 6.6


@dataclass(slots=True)
class Node:
    """A frame below its callers, with the samples in it and above it."""

    name: str
    count: int = 0
    own: int = 0
    children: dict[str, Node] = field(default_factory=dict[str, "Node"])


def tree(profile: Profile) -> Node:
    """The profile's stacks as a tree; threads are below the root."""
    root = Node("all")
    labels = [label(frame) for frame in profile.frames]
    for sample in profile.samples:
        node, weight = root, profile.weight(sample)
        node.count += weight
        for name in (sample.thread, *(labels[index] for index in reversed(profile.stacks[sample.stack]))):
            node = node.children.setdefault(name, Node(name))
            node.count += weight
        node.own += weight
    return root


def flame_svg(profile: Profile) -> str:
    """The flame graph as an SVG document, root at the bottom."""
    root = tree(profile)
    boxes = list(_boxes(root))
    rows = max((row for _, row, _, _ in boxes), default=0) + 1
    height = _HEAD + rows * _ROW + 4
    drawn = "".join(_drawn(box, root.count, height, _unit(profile)) for box in boxes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" width="{_WIDTH:.0f}"'
        f' height="{height}" font-family="monospace" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fffdf8"/>'
        f'<text x="8" y="22" font-size="14">{html.escape(_title(profile))}</text>{drawn}</svg>\n'
    )


def _title(profile: Profile) -> str:
    count = sum(map(profile.weight, profile.samples))
    lost = f", {profile.lost:,} lost" if profile.lost else ""
    name = profile.service or f"pid {profile.pid}"
    return f"{name}: {count:,} {_unit(profile)} in {profile.duration_ns / NS_PER_S:.1f} s{lost}"


def _unit(profile: Profile) -> str:
    return "bytes" if profile.kind == SPACE else "samples"


def _boxes(root: Node) -> Iterator[tuple[Node, int, float, float]]:
    """Node, row, left edge and width of each box that can be seen."""
    scale = _WIDTH / max(1, root.count)
    waiting: list[tuple[Node, int, float]] = [(root, 0, 0.0)]
    while waiting:
        node, row, left = waiting.pop()
        width = node.count * scale
        if width < _NARROWEST:
            continue
        yield node, row, left, width
        for child in sorted(node.children.values(), key=lambda one: one.name):
            waiting.append((child, row + 1, left))
            left += child.count * scale


def _drawn(box: tuple[Node, int, float, float], total: int, height: float, unit: str) -> str:
    node, row, left, width = box
    top = height - (row + 1) * _ROW - 2
    name = html.escape(node.name)
    share = 100 * node.count / max(1, total)
    letters = int((width - 4) / _LETTER)
    shown = html.escape(node.name[:letters]) if letters > 2 else ""  # noqa: PLR2004 - fewer letters say nothing
    return (
        f"<g><title>{name}: {node.count:,} {unit}, {share:.1f} %</title>"
        f'<rect x="{left:.1f}" y="{top:.0f}" width="{width:.1f}" height="{_ROW - 1}" rx="1"'
        f' fill="{_colour(node.name)}"/><text x="{left + 2:.1f}" y="{top + 12:.0f}">{shown}</text></g>'
    )


def _colour(name: str) -> str:
    """Warm, and the same for the same name."""
    drawn = zlib.crc32(name.encode(errors="replace"))
    return f"hsl({20 + drawn % 35},{70 + drawn // 64 % 20}%,{62 + drawn // 4096 % 14}%)"


def flame_html(profile: Profile) -> str:
    """The flame graph as one page: a click zooms, a word searches, nothing is loaded."""
    data = json.dumps(_plain(tree(profile)), separators=(",", ":")).replace("<", "\\u003c")
    page = _PAGE.replace("@TITLE@", html.escape(_title(profile))).replace("@UNIT@", _unit(profile))
    return page.replace("@DATA@", data)


def _plain(root: Node) -> list[list[Any]]:
    """Rows of name, samples, and the row of the caller: flat, since stacks are deeper than JSON may be."""
    rows: list[list[Any]] = []
    waiting: list[tuple[Node, int]] = [(root, -1)]
    while waiting:
        node, above = waiting.pop()
        rows.append([node.name, node.count, above])
        here = len(rows) - 1
        waiting += [(child, here) for child in sorted(node.children.values(), key=lambda one: one.name)]
    return rows


_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>@TITLE@</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
body{font:12px monospace;margin:8px;background:#fffdf8;color:#222}
#graph{position:relative}
#graph div{position:absolute;height:16px;line-height:16px;overflow:hidden;white-space:nowrap;
box-sizing:border-box;border-right:1px solid #fffdf8;padding-left:2px;cursor:pointer}
#graph div.found{background:#7b3fe4!important;color:#fff}
#said{min-height:1.4em}
</style></head><body>
<h3>@TITLE@</h3>
<p><input id="word" placeholder="search" aria-label="search"> <button id="reset">whole graph</button></p>
<p id="said"></p><div id="graph"></div>
<script id="data" type="application/json">@DATA@</script>
<script>
"use strict";
const rows = JSON.parse(document.getElementById("data").textContent);
const nodes = rows.map(([name, count]) => ({name, count, children: [], above: null}));
rows.forEach(([, , above], place) => {
  if (above >= 0) { nodes[place].above = nodes[above]; nodes[above].children.push(nodes[place]); }
});
nodes.forEach(node => node.children.sort((a, b) => a.name < b.name ? -1 : 1));
const graph = document.getElementById("graph"), said = document.getElementById("said");
const word = document.getElementById("word");
let shown = nodes[0];
function hue(name) {
  let h = 0;
  for (const c of name) h = (h * 31 + c.charCodeAt(0)) >>> 0;
  return 20 + h % 35;
}
function draw(focus) {
  shown = focus;
  graph.replaceChildren();
  const width = graph.clientWidth || 1000, path = [];
  for (let node = focus.above; node; node = node.above) path.unshift(node);
  let deepest = 0;
  const waiting = path.map((node, row) => [node, row, 0, width, false]);
  waiting.push([focus, path.length, 0, width, true]);
  while (waiting.length) {
    const [node, row, left, wide, goesOn] = waiting.pop();
    if (wide < 1) continue;
    deepest = Math.max(deepest, row);
    const box = document.createElement("div");
    box.textContent = node.name;
    box.style.cssText = `left:${left}px;top:${row * 17}px;width:${wide}px`;
    box.style.background = `hsl(${hue(node.name)},75%,68%)`;
    box.title = `${node.name}: ${node.count} @UNIT@, ${(100 * node.count / nodes[0].count).toFixed(1)} %`;
    box.onclick = () => draw(node);
    box.onmouseenter = () => { said.textContent = box.title; };
    if (word.value && node.name.includes(word.value)) box.className = "found";
    graph.append(box);
    if (!goesOn) continue;
    let from = left;
    for (const child of node.children) {
      const share = wide * child.count / node.count;
      waiting.push([child, row + 1, from, share, true]);
      from += share;
    }
  }
  graph.style.height = `${(deepest + 1) * 17}px`;
}
word.oninput = () => draw(shown);
document.getElementById("reset").onclick = () => draw(nodes[0]);
window.onresize = () => draw(shown);
draw(nodes[0]);
</script></body></html>
"""
