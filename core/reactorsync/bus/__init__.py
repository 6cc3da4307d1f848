"""Kafka behind a small port: what the parts need of a broker, and an adapter for aiokafka."""
