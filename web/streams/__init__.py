"""Server-sent events: of what is committed, and of a run's output."""
