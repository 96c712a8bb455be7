"""The background worker: `CC_PYTHON_CELERY_MODULE=shop.celery`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task
def add(left: int, right: int) -> int:
    return left + right
