"""headway: a job server for one machine, as a Python package. It speaks HTTP only."""
