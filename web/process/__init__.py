"""The server as a process: its log, its signals, its configuration anew, its end."""
