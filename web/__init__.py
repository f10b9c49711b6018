"""What the outside sees: the HTTP API, its client and the command line that speaks it."""
