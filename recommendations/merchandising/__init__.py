"""What operators want lists to do whatever was learned: rules as rows, compiled, and those that hold for one list.

How a list follows them is the business of ``serving``.
"""
