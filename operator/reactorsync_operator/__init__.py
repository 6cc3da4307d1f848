"""Reconciliation of reactors and scenarios: pure decisions, thin edges."""
