"""Server-sent events: the committed events, and the output of a run."""
