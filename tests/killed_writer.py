"""A writer that is killed in mid-transaction: `python -c CODE metadata.db` leaves a hot journal beside a store."""

from __future__ import annotations

CODE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("pragma cache_size = 1")
connection.execute("update MLMDEnv set schema_version = 9")
for number in range(2000):  # more than the cache holds, so that the file itself is changed
    connection.execute("insert into Context (type_id, name) values (1, ?)", (f"{number:0500}",))
os._exit(1)
"""
