"""What must hold of any database: invariants, and the events replayed."""
