"""The first page of the admin, made of cards and panels that apps register."""
