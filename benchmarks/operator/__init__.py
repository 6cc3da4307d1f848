"""The operator on a real API server, from 10,000 reactors to a thousand kills.

Reading order: `surroundings` (what everything runs in), `declaring` and `requests` (objects and
their statuses; what the API server was asked), then the cases `fleet`, `scenarios`, `crashes` and
`naive`, and `table`. `python -m benchmarks.operator` runs them.
"""
