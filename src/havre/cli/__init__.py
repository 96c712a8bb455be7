"""`havre`, the operator's tool."""
