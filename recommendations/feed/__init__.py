"""The feed: likes, dislikes and recommendations of bare items that are known by id and genres only.

``lists`` holds what the API calls: add items, record actions, recommend. ``log`` holds the SQL of one request,
``memory`` the items and the latest fit of this process, ``fitting`` the job that refits, ``judging`` the hourly test of
a fit, ``held_out`` its test data, and ``clearing`` removes everything. ``model`` and ``ranking`` are the arithmetic,
without Django. docs/feed.md describes all of it.
"""
