"""Whether a text mentions any of many words: one pass over it, whatever their number.

Interpreted or compiled from this one file (Cython's pure Python mode). It stands before the scanner, whose
rules have nothing to do where nothing of what they look for occurs.
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false
# pyright: reportUnboundVariable=false, reportArgumentType=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportUninitializedInstanceVariable=false
# pyright: reportUnnecessaryComparison=false, reportAssignmentType=false, reportOptionalOperand=false
# C types are the compiler's, and what `cython.declare` gives an attribute is known to it alone.

from __future__ import annotations

from collections.abc import Iterable

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.unicode import PyUnicode_AsUTF8AndSize
    from cython.cimports.libc.string import memset

_MAX_STARTS = 254
_START = 2
"""Characters of a word by which it is looked up."""
_TABLE = 16384
_A = 65
_Z = 90


@cython.cclass
class Mentions:
    """Some words, in any case, of ASCII characters, two or more each."""

    _words: tuple
    _by_start: list
    _numbers: cython.uchar[16384]

    def __init__(self, words: Iterable[str]) -> None:
        """Prepare the search.

        Raises:
            ValueError: a word is shorter than two characters, is not ASCII, or there are too many beginnings.
        """
        self._words = tuple(dict.fromkeys(word.lower() for word in words))
        starts: dict = {}
        for word in self._words:
            if len(word) < _START or not word.isascii():
                raise ValueError(f"expected words of two or more ASCII characters, got {word!r}")
            starts.setdefault(word[:_START], []).append(word[_START:].encode())
        if len(starts) > _MAX_STARTS:
            raise ValueError(f"expected at most {_MAX_STARTS} different beginnings, got {len(starts)}")
        self._by_start = [tuple(rests) for rests in starts.values()]
        if cython.compiled:
            memset(cython.address(self._numbers[0]), 0, _TABLE)
            for number, start in enumerate(starts, 1):
                for first in {start[0], start[0].upper()}:
                    for second in {start[1], start[1].upper()}:
                        self._numbers[(ord(first) << 7) | ord(second)] = number

    def may_be_in(self, text: str) -> bool:
        """Whether one of the words is in `text`; True for a text that is not ASCII, which nobody looked at.

        Some characters beyond ASCII are the same as a letter of ASCII when case is ignored.
        """
        if not cython.compiled:
            return not text.isascii() or _is_any_in(text.lower(), self._words)
        size: cython.Py_ssize_t = 0
        try:
            data = cython.cast(cython.p_uchar, PyUnicode_AsUTF8AndSize(text, cython.address(size)))
        except UnicodeEncodeError:  # a lone surrogate
            return True
        if size != len(text):
            return True
        i: cython.Py_ssize_t
        number: cython.uchar
        before: cython.uint = 0
        here: cython.uint
        for i in range(size):
            here = data[i]
            number = self._numbers[(before << 7) | here]
            if number != 0 and _continues(data, i + 1, size, self._by_start[number - 1]):
                return True
            before = here
        return False


def _is_any_in(lower: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - `any` over a generator costs three times as much
        if word in lower:
            return True
    return False


@cython.cfunc
@cython.inline
def _lower(character: cython.uchar) -> cython.uint:
    return character | 0x20 if _A <= character <= _Z else character


@cython.cfunc
def _continues(
    data: cython.p_uchar, at: cython.Py_ssize_t, size: cython.Py_ssize_t, rests: tuple
) -> cython.bint:
    """Whether one of `rests` stands at `at`. Compiled form only."""
    i: cython.Py_ssize_t
    length: cython.Py_ssize_t
    expected: cython.p_uchar
    for rest in rests:
        length = len(rest)
        if at + length > size:
            continue
        expected = cython.cast(cython.p_uchar, cython.cast(bytes, rest))
        i = 0
        while i < length and _lower(data[at + i]) == expected[i]:
            i += 1
        if i == length:
            return True
    return False
