"""Who decides and who acts: supervisor, scheduler, executor and stats, each behind a mailbox."""
