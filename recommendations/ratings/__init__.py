"""Star ratings: who rated which title how, and what they would say of the others.

A model of its own beside the recommender of cars: it reads files in MovieLens' format, keeps what it learned in a data
folder, and answers ``/api/predict`` and its neighbours. Everything here but ``current`` is numbers and files, without
Django; docs/ratings.md describes the model and its figures.
"""
