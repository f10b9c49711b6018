"""JSON as strictly as the contract reads it, within limits."""
