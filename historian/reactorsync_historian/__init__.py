"""Telemetry frames from Kafka into Postgres, exactly once."""
