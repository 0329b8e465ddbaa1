{% include "summarize_blob.py.jinja" -%}
