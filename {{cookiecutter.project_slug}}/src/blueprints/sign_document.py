{% include "sign_document.py.jinja" -%}
