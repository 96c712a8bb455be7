"""A FastAPI app, installed by uv from its lock file and started by `uv run`."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def home() -> dict[str, str]:
    return {"hello": "FastAPI"}
