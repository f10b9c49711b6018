"""Sockets and Hypercorn: how bytes become requests, and responses bytes."""
