"""Durable state: Jobs, runs, reservations, events, and the SQLite file with them."""
