"""What the server does in one step: short Lua over the fixed offsets of an envelope.

Versions are compared byte by byte: Lua's `<` on strings follows the server's locale.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BUMP", "BURY", "EPOCH_END", "EPOCH_TTL_MS", "NO_ROOM", "RELEASE", "WRITE", "Script"]

NO_ROOM: Final = -1
"""What `WRITE` and `BURY` say when the memory is full: there is nothing under the key any more."""

EPOCH_TTL_MS: Final = 90 * 24 * 3600 * 1000
"""How long a tag's number is kept after its last change: longer than any value that could need it."""

EPOCH_END: Final = 2**53 - 1
"""Above every number of a tag: a larger one was planted, or belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the server, by a name for people."""

    name: str
    source: str
    digest: str = field(init=False)
    """Its SHA-1, under which the server keeps it."""

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


_HEAD: Final = """
local function head(key, last)
  local got = redis.pcall('GETRANGE', key, 0, last)
  if type(got) ~= 'string' then return '' end
  return got
end
local function newer(a, b)
  for i = 1, 8 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return false
end
local function put(key, raw, ttl)
  local done = redis.pcall('SET', key, raw, 'PX', ttl)
  if type(done) == 'table' and done.err then
    redis.call('UNLINK', key)
    return -1
  end
  return 1
end
"""
"""`put` leaves nothing where the memory is full: the old value must not stand for the new one."""

WRITE: Final = Script(
    "write",
    _HEAD
    + """
local old = head(KEYS[1], 23)
local ours = #old == 24 and string.sub(old, 1, 2) == 'TS'
if ARGV[3] == 'nothing' and #old > 16 then return 0 end
if ARGV[3] == 'id' and string.sub(old, 17, 24) ~= ARGV[4] then return 0 end
if #ARGV[5] == 8 and ours and newer(string.sub(old, 9, 16), ARGV[5]) then return 0 end
return put(KEYS[1], ARGV[1], ARGV[2])
""",
)
"""Key; envelope, ttl in ms, `any` | `nothing` | `id`, the id, the version as 8 bytes or "".
1: stored; 0: refused; -1: no room, and the old value is gone. What is too short to have an id is nothing.
"""

BURY: Final = Script(
    "bury",
    _HEAD
    + """
local tomb, old = ARGV[1], head(KEYS[1], 15)
local ours, version = #old == 16 and string.sub(old, 1, 2) == 'TS', string.sub(old, 9, 16)
if ours and newer(version, string.sub(tomb, 9, 16)) then
  tomb = string.sub(tomb, 1, 8) .. version .. string.sub(tomb, 17)
end
return put(KEYS[1], tomb, ARGV[2])
""",
)
"""Key; tombstone, ttl in ms. The tombstone takes the version of what it replaces, if that is newer."""

BUMP: Final = Script(
    "bump",
    f"""
local old = tonumber(redis.pcall('GET', KEYS[1]) or 0)
if type(old) ~= 'number' or not (old >= 0 and old < {EPOCH_END}) then old = 0 end
local new = math.max(tonumber(ARGV[1]), old + 1)
redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', ARGV[2])
return new
""",
)
"""Epoch; now in ms, ttl in ms. The new number: below 2^53, so that it is whole in Lua. Others count as 0."""

RELEASE: Final = Script(
    "release",
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end
return 0
""",
)
"""Claim; owner. 1 if it was his."""
