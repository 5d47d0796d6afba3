from django.urls import path

from shop import views

urlpatterns = [
    path("", views.window, name="shop"),
    path("cars/<int:listing_id>/", views.car, name="shop-car"),
    path("act/", views.act, name="shop-act"),
    path("visitor/", views.visitor, name="shop-visitor"),
    path("searches/", views.searches, name="shop-searches"),
]
