"""The operator: makes what happens agree with what the resources ask for."""
