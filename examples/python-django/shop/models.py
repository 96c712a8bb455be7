"""What is on the shelf."""

from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=80)
