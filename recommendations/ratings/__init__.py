"""Star ratings: a model that predicts ratings of items from ratings in files.

It is separate from the recommender of cars: it reads files in MovieLens' format, stores its models in a data folder,
and answers ``/api/predict`` and the routes beside it. All modules but ``current`` work on numbers and files, without
Django; docs/ratings.md describes the model and its figures.
"""
