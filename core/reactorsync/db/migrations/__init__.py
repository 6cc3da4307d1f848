"""The schema's history, for Alembic. Run through ``reactorsync.db.migrate``."""
