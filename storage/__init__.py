"""What must survive: Jobs, their runs, the events about both, and the file that holds them."""
