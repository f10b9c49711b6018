"""The server process: its log, its signals, the reload of its configuration, its shutdown."""
