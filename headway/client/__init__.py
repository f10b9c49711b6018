"""The HTTP API as Python calls, blocking and asynchronous."""
