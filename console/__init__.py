"""The admin site that every app builds on: base classes, words, charts, navigation, the dashboard. Imports no app."""
