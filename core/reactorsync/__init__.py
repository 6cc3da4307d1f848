"""The language all parts share: resources, signals, faults, wire format, stores, settings."""
