"""Likes and recommendations of bare items: what people do is written, and lists are made, in few and fast steps.

``log`` is where the database is asked, ``memory`` what a process knows of items and what was learned of them,
``fitting`` how that is learned, ``lists`` what callers call, ``clearing`` a fresh start. ``model`` and ``ranking`` are
its arithmetic, without Django. docs/feed.md describes all of it.
"""
