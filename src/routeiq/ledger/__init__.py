"""What happened: Events, the Journal they travel in, and the ledger they end in."""
