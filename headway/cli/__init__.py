"""The command line: a file for each noun, and what its commands share."""
