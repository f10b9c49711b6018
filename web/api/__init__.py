"""The typed layer between HTTP and resources; it knows no Job."""
