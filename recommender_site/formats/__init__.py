"""How moments are written where no code of ours writes them: Django's formats, by language."""
