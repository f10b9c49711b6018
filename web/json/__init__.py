"""Parsing of JSON as the contract defines it, within limits."""
