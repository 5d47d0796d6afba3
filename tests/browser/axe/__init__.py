"""axe-core 4.14.1 (Mozilla Public License 2.0, beside it), which finds what people with disabilities meet in a page."""
