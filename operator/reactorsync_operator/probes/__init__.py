"""Looks at what probes ask for, while they ask for it."""
