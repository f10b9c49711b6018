"""The contract: every resource, defined once for server, client and documentation."""
