"""Networks that others have trained, under the names of their published weights, and reading these with care."""
