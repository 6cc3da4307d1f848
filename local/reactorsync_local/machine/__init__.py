"""Running every part on this machine: what is started, in which order, with which environment."""
