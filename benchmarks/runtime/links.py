"""Samples and the spans they are attributed to, over all ways to run work.

As a program it takes interpreters, and prints a table for each: `links.py --python PYTHON ...`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import program
from benchmarks.pipeline.figures import percent
from benchmarks.pipeline.ground import launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, markdown, targets_markdown
from benchmarks.runtime import twins
from benchmarks.runtime.place import FULL, QUICK, Place
from benchmarks.sidebyside.lines import Child, Launch

KINDS: Final = (
    "asyncio tasks",
    "eager tasks",
    "nested Context.run",
    "uvloop",
    "threads",
    "executors",
    "greenlets",
)
COMPILED, INTERPRETED = "compiled", "interpreted"
_LEAST_LINKED: Final = 0.99
_PATIENCE_S: Final = 150.0

Answer = Mapping[str, Any]
Counts = Mapping[tuple[str, str], Answer]
"""Of samples, by kind and form; or why there are none."""


def linked(place: Place, progress: Progress) -> Section:
    """All kinds in the running interpreter, compiled and interpreted side by side."""
    version, counts = measured(sys.executable, place.folder / "links", place.scale.samples, progress)
    return section(version, counts, place.scale.samples)


def measured(python: str, folder: Path, samples: int, progress: Progress) -> tuple[str, Counts]:
    """The interpreter's version, and what it counted.

    Args:
        python: the interpreter.
        folder: for a copy of the package, if its compiled form is not installed.
        samples: within spans, of each kind and form.
        progress: is told where it is.

    Raises:
        ChildError: a child failed, or nothing can be compiled.
    """
    path, compiled = _compiled(python, folder)
    counts: dict[tuple[str, str], Answer] = {}
    interpreted = launch({"TICKSPAN_PURE": "1"}, *path, python=python)
    with (
        Child("benchmarks.runtime.spanned", launch=interpreted) as pure,
        compiled,
        ThreadPoolExecutor() as pool,
    ):
        version: str = pure.hello()["version"]
        for kind in KINDS:
            progress(f"Python {version}: {kind}")
            question = {"kind": kind, "samples": samples, "patience_s": _PATIENCE_S}
            asked = {COMPILED: compiled, INTERPRETED: pure}
            answers = {form: pool.submit(child.ask, question) for form, child in asked.items()}
            counts.update({(kind, form): answer.result() for form, answer in answers.items()})
    return version, counts


def _compiled(python: str, folder: Path) -> tuple[tuple[Path, ...], Child]:
    """What is searched before the installed packages, and a child that runs the compiled form."""
    if python == sys.executable:
        child = Child("benchmarks.runtime.spanned", launch=launch(python=python))
        if child.hello()["is_compiled"]:
            return (), child
        child.stop()
    path = twins.built(python, folder)
    child = Child("benchmarks.runtime.spanned", launch=_of(path, python))
    child.hello()
    return path, child


def _of(path: tuple[Path, ...], python: str) -> Launch:
    return launch(None, *path, python=python)


def section(version: str, counts: Counts, wanted: int) -> Section:
    """What was counted, as a table, targets and faults."""
    rows = tuple(
        (kind, *_cells(counts, kind, COMPILED), *_cells(counts, kind, INTERPRETED)) for kind in KINDS
    )
    note = (
        "A sample counts when a function was on its stack that runs within one span only; it is wrong when it"
        " has another span. Each kind runs in three threads side by side, a sampler at 1,000 Hz looks on."
        " Interpreted, a sample is linked only where no other context can have been entered."
    )
    columns = ("work", *(f"{what}, {form}" for form in (COMPILED, INTERPRETED) for what in _WHAT))
    return Section(
        "links",
        (Table(f"Samples within spans (Python {version})", columns, rows, note),),
        targets(counts),
        tuple(faults(counts, wanted)),
        {"version": version, "counts": {" / ".join(key): dict(answer) for key, answer in counts.items()}},
    )


_WHAT: Final = ("samples", "linked", "wrong")


def _cells(counts: Counts, kind: str, form: str) -> tuple[str, str, str]:
    answer = counts[kind, form]
    if "missing" in answer:
        return (answer["missing"], "", "")
    return f"{answer['within']:,}", percent(answer["linked"] / max(1, answer["within"])), str(answer["wrong"])


def targets(counts: Counts) -> tuple[Target, ...]:
    """None wrong in either form; compiled, nearly all linked."""
    there = {key: answer for key, answer in counts.items() if "missing" not in answer}
    compiled = [answer for (_, form), answer in there.items() if form == COMPILED]
    wrong = sum(answer["wrong"] for answer in there.values())
    least = min((answer["linked"] / max(1, answer["within"]) for answer in compiled), default=0.0)
    within = sum(answer["within"] for answer in there.values())
    return (
        Target("samples with another span", "tickspan", "0", f"{wrong} of {within:,}", wrong == 0),
        Target(
            "samples within spans that are linked, of the worst kind",
            "tickspan, compiled",
            f"≥ {_LEAST_LINKED:.0%}",
            percent(least),
            least >= _LEAST_LINKED,
        ),
    )


def faults(counts: Counts, wanted: int) -> list[str]:
    """Samples with a wrong span, and kinds that gave too few samples to say so."""
    there = {key: answer for key, answer in counts.items() if "missing" not in answer}
    wrong = [
        f"links: {kind}, {form}: {answer['wrong']} of {answer['within']} samples have another span"
        for (kind, form), answer in there.items()
        if answer["wrong"]
    ]
    few = [
        f"links: {kind}, {form}: expected {wanted} samples within spans, got {answer['within']}"
        for (kind, form), answer in there.items()
        if answer["within"] < wanted
    ]
    return wrong + few


def main(arguments: Sequence[str] | None = None) -> int:
    """A table for each interpreter; 1 when a sample was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--python", nargs="+", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--quick", action="store_true", help="to see that all works: no verdict to rely on")
    asked = parser.parse_args(arguments)
    samples = (QUICK if asked.quick else FULL).samples
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="tickspan-links-") as folder:
        for number, python in enumerate(str(Path(one).absolute()) for one in asked.python):
            version, counts = measured(python, Path(folder, str(number)), samples, program.progress("links"))
            sections.append(section(version, counts, samples))
            print(markdown(sections[-1]), end="\n\n", flush=True)
    found = [fault for one in sections for fault in one.faults]
    print("\n\n".join([targets_markdown(sections), *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
