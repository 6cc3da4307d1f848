"""One module per revision. Each stands for itself: it imports nothing that may change later."""
