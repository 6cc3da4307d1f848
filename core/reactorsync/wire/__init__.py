"""What travels on Kafka: topics, envelope and the typed messages. Documented in docs/wire-format.md."""
