"""What is, reconciled with what is recorded."""
