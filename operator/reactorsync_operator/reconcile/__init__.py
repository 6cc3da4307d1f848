"""What is to be done, as functions of what was observed and the time: no clock, I/O or chance."""
