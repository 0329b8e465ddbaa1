{% include "call_api.py.jinja" -%}
