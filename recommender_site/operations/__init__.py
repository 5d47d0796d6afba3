"""Keeping an installation: backup, restore, export, and what ``manage.py doctor`` looks at. Serves no request."""
