"""The life of one run, the files that it leaves, and what becomes of them."""
