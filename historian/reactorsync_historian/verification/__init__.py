"""Verification: does the telemetry show a fault that was reported to act?"""
