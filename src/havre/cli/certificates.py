"""`havre certs`: certificates of the installation, and for an operator's help those of organisations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from havre.cli import options
from havre.client import Client


@click.group()
def certs() -> None:
    """Certificates: the installation's own, or with --org those of an organisation."""


_org = click.option("--org", default="", help="An organisation (orga_…), instead of the whole installation.")


@certs.command("list")
@click.option("--json", "as_json", is_flag=True)
@_org
@options.data
def certs_list(org: str, as_json: bool, data: Path | None) -> None:
    """What is there, until when, and for which domains."""
    found = Client.of_data(options.place(data)).certificates(org)
    if as_json:
        click.echo(json.dumps([each.model_dump() for each in found], indent=2))
        return
    for each in found:
        whose = each.ownerId or ("the authority" if each.kind == "ordered" else "the installation")
        click.echo(f"{each.id}  until {each.notAfter[:10]}  {each.kind:<8}  {', '.join(each.names)}  ({whose})")
        click.echo(f"  by {each.issuer}; " + (f"for {', '.join(each.domains)}" if each.domains else "no domain has it"))


@certs.command("add")
@click.argument("certificate", type=click.File())
@click.argument("key", type=click.File(), required=False)
@_org
@options.data
def certs_add(certificate: IO[str], key: IO[str] | None, org: str, data: Path | None) -> None:
    """Upload CERTIFICATE (PEM, with its chain) and KEY, which may also stand in the same file."""
    made = Client.of_data(options.place(data)).add_certificate(certificate.read(), key.read() if key else "", org)
    click.echo(f"{made.id}: {', '.join(made.names)}, until {made.notAfter[:10]}")
    click.echo(f"  for {', '.join(made.domains)}" if made.domains else "  no domain of an app has these names yet")
    if made.note:
        click.echo(f"  note: {made.note}")


@certs.command("remove")
@click.argument("id")
@_org
@options.data
def certs_remove(id: str, org: str, data: Path | None) -> None:
    """Forget a certificate; its domains show the next best."""
    Client.of_data(options.place(data)).remove_certificate(id, org)
    click.echo(f"{id} is removed")
