"""The detectors of walletwatch, and the words in which one is written (see README.md here)."""
