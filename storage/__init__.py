"""What must survive: Jobs, their runs, the facts about both, and the file that holds them."""
