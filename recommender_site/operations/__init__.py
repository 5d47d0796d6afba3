"""Keeping an installation: backup, restore, and what ``manage.py doctor`` looks at. Serves no request."""
