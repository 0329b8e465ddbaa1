"""The project's claims, measured against its peers in one run: ``python -m benchmarks``."""
