"""Limit alarms: a reading that stays beyond a limit is noticed, stored and announced."""
