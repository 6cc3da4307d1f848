"""The REST and WebSocket API over resources, telemetry and live frames."""
