"""What the tests prove over all answers, in figures: ``python -m quality`` writes docs/quality.md."""
