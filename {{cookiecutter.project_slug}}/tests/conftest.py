"""The fixtures of every test: support/fixtures.py describes them."""

from support.fixtures import declared, fake_key_vault, fresh_worker

__all__ = ["declared", "fake_key_vault", "fresh_worker"]
