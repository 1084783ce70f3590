"""Holding what others say was used against the ledger: pure comparing, without a database or a file."""
