"""A program that takes a connection for each of forty statements, of a pool that keeps it or does not.

Arguments: the database's file, and `bad` or `good`.
"""

import sys

from sqlalchemy import NullPool, QueuePool, create_engine, text

FILE, WAY = sys.argv[1:]
engine = create_engine(f"sqlite:///{FILE}", poolclass={"bad": NullPool, "good": QueuePool}[WAY])

for number in range(40):
    with engine.connect() as connection:
        connection.execute(text("SELECT id FROM orders WHERE id = :id"), {"id": number}).all()
