"""Processes and files of the host, behind a seam that tests replace."""
