"""Sockets and Hypercorn: from bytes to requests, and from responses to bytes."""
