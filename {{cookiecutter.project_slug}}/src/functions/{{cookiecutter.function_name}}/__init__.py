"""An example: it shows that declared secrets arrive. Rewrite or delete it; nothing depends on it."""

import json

import azure.functions as func


{% include "first_function.py.jinja" -%}
