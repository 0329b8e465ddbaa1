{% include "ship_order.py.jinja" -%}
