"""Signs what a caller sends: proof for whoever shares the secret, and of no use to anyone else."""

import hashlib
import hmac
import json

import azure.functions as func


{% include "first_function.py.jinja" -%}
