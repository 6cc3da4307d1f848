"""The commands, one module each: they parse arguments, ask for data and hand it to rendering."""
