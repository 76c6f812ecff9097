"""Turn files of a foreign shape into walletwatch events by a declarative mapping."""
