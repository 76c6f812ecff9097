"""The command `walletwatch` from the start of the process until `worker.cli` is imported."""
