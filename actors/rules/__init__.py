"""The synchronous core: what a message does to the database, and what may start."""
