"""The language every part of ReactorSync shares: resources, signals, faults, wire format, stores and settings."""
