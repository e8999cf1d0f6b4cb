"""Where a study is stored: a journal file on disk or an SQL database, each with a single owner."""
