"""One run: its lifecycle, its files, and what is kept of them."""
