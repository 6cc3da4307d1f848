"""What a scenario means, as functions of values: the operator acts by it, CLI and API tell it."""
