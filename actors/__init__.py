"""The actors: supervisor, scheduler, executor, publisher and stats, each behind a mailbox."""
