"""The fixtures of every test, and the app settings that modules read while they are imported."""

import os
import sys

from support import worker
from support.fixtures import declared, fake_key_vault, fresh_worker, predicted, snapshot

__all__ = ["declared", "fake_key_vault", "fresh_worker", "predicted", "snapshot"]

os.environ |= worker.declared_settings()
sys.path.append(str(worker.FUNCTIONS))  # as in Azure: a function imports shared modules by name
