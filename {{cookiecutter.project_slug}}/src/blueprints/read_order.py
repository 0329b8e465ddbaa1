{% include "read_order.py.jinja" -%}
