"""A farm on a real account, from nothing to nothing, within a limit: see scripts/verify-cloud."""
