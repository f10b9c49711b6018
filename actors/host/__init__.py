"""Processes and files of the host, behind the seam that tests replace."""
