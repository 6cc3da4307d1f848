"""How values look on a terminal: functions of values, no I/O."""
