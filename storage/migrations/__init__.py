"""Numbered SQL, applied in order, each in a transaction; `PRAGMA user_version` counts them."""
