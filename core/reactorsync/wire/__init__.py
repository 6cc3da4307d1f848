"""What travels on Kafka: topics, envelope and typed messages, as docs/wire-format.md says."""
