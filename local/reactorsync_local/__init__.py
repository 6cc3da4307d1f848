"""ReactorSync on one machine: the `reactorsync` command and what it runs."""
