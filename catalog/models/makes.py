"""What a listing is a car of: makes, and their models."""

from django.db import models


class Make(models.Model):
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CarModel(models.Model):
    make = models.ForeignKey(Make, on_delete=models.CASCADE, related_name="models")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120)

    class Meta:
        ordering = ["make__name", "name"]
        verbose_name = "model"
        constraints = [models.UniqueConstraint(fields=["make", "slug"], name="one_model_of_a_name_per_make")]

    def __str__(self) -> str:
        return f"{self.make} {self.name}"
