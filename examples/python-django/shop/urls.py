"""The pages."""

from django.http import HttpResponse
from django.urls import path

from shop.celery import add
from shop.models import Item


def shelf(request):
    names = ", ".join(Item.objects.values_list("name", flat=True))
    return HttpResponse(f'<link rel="stylesheet" href="/static/style.css"><p>On the shelf: {names}</p>')


def count(request, left, right):
    """Added by the worker."""
    return HttpResponse(f"{left} + {right} = {add.delay(left, right).get(timeout=20)}")


urlpatterns = [path("", shelf), path("sum/<int:left>/<int:right>", count)]
