"""A rule for walletwatch that lives in a package of its own."""
