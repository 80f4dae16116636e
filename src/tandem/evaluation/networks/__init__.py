"""Networks that metrics look through: small definitions whose parameter names take the published weight files."""
