"""Logins of a desk: tokens that nobody can read, a change that two make at once, a logout everywhere.

Run `python examples/sessions.py`. Sessions are in a file of a temporary folder, or, with REDIS_URL=redis://…,
in that Redis, where all processes see them. Needs `pip install tickspan[cache]`.
"""

import asyncio
import os
import tempfile

from tickspan.cache import Cache, CacheSettings
from tickspan.cache.sessions import SessionConflict


async def desk(cache: Cache) -> None:
    """Two logins of one user."""
    sessions = cache.sessions
    token, session = await sessions.create("ada", {"desk": "eu", "symbols": ["AAPL"]})
    other, _ = await sessions.create("ada", {"desk": "us"})
    print("a session tells neither token nor user:", session)

    first, second = await sessions.get(token), await sessions.get(token)
    assert first is not None
    assert second is not None
    first.data["symbols"].append("MSFT")
    await sessions.save(first)
    second.data["symbols"].append("TSLA")
    try:
        await sessions.save(second)
    except SessionConflict:
        print("of two who change it at once, one wins:", first.data["symbols"])

    rotated = await sessions.rotate(token)
    assert rotated is not None
    new_token, session = rotated
    print("a new token after a change of rights:", new_token != token, session.data["symbols"])

    print("logged out everywhere:", await sessions.revoke_user("ada"), "sessions")
    print("what is left:", await sessions.get(new_token), await sessions.get(other))


async def main() -> None:
    """With Redis where there is one, else with a file."""
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("REDIS_URL")
        cache = Cache.from_settings(CacheSettings(url=url, disk=folder, namespace="desk-example"))
        print("sessions are kept in", "Redis" if url else "a file")
        try:
            await desk(cache)
        finally:
            await cache.aclose()


if __name__ == "__main__":
    asyncio.run(main())
