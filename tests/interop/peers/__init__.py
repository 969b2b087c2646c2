"""Other implementations of attention that answer the same cases."""
