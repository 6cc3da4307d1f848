"""Postgres: tables, migrations, connections and partitions. Described in docs/database.md."""
