"""A Flask app: `clever create -t python`, `clever env set CC_PYTHON_MODULE app:app`, `clever deploy`."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def home() -> str:
    return f"Hello from {os.environ.get('CC_APP_NAME', 'Python')}\n"
