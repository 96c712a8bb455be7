"""The operator's commands about people, organisations, quotas, credentials and letters."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import click

from havre.cli import options
from havre.client import Client


def _client(data: Path | None) -> Client:
    return Client.of_data(options.place(data))


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


@click.group()
def people() -> None:
    """Accounts of this installation."""


@people.command("add")
@click.argument("email")
@click.option("--operator", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
@options.data
def people_add(email: str, operator: bool, as_json: bool, data: Path | None) -> None:
    """Make an account; its password and token are shown once."""
    made = _client(data).add_person(email, is_operator=operator)
    if as_json:
        click.echo(made.model_dump_json())
        return
    click.echo(f"{made.email}: password {made.password} (shown once)")
    click.echo(f"  CLEVER_TOKEN={made.token} CLEVER_SECRET={made.secret}")


@people.command("list")
@options.data
def people_list(data: Path | None) -> None:
    """Everybody with an account."""
    for each in _client(data).people():
        marks = " ".join(
            name for name, is_on in (("operator", each.isOperator), ("2FA", each.hasSecondFactor)) if is_on
        )
        click.echo(f"{each.email:<40} {each.id} {marks}".rstrip())


@people.command("remove")
@click.argument("email")
@options.data
def people_remove(email: str, data: Path | None) -> None:
    """Remove an account and its empty personal space. Its apps are deleted before."""
    client = _client(data)
    client.remove_person(client.person(email).id)
    click.echo(f"{email} has no account any more")


@people.command("password")
@click.argument("email")
@options.data
def people_password(email: str, data: Path | None) -> None:
    """A new password for somebody who lost theirs: shown once; 2FA goes, all sessions and tokens end."""
    client = _client(data)
    click.echo(f"{email}: password {client.reset_password(client.person(email).id)} (shown once)")


@click.group()
def tokens() -> None:
    """What people signed in with."""


@tokens.command("list")
@click.argument("email")
@options.data
def tokens_list(email: str, data: Path | None) -> None:
    """The tokens of one person, by their first letters."""
    client = _client(data)
    for each in client.tokens(client.person(email).id):
        click.echo(f"{each.kind:<10} {each.id:<50} until {_moment(each.expiresAt)} {each.name}".rstrip())


@tokens.command("revoke")
@click.argument("email")
@options.data
def tokens_revoke(email: str, data: Path | None) -> None:
    """End every session and token of one person at once (of your own: all but the one in use)."""
    client = _client(data)
    click.echo(f"{client.revoke_tokens(client.person(email).id)} tokens revoked")


@click.group()
def quotas() -> None:
    """What organisations may have."""


@quotas.command("list")
@options.data
def quotas_list(data: Path | None) -> None:
    """Every organisation with its limits; 0 is none."""
    for each in _client(data).quotas():
        limits = f"apps {each.usedApps} of {each.apps or 'any'}, instances {each.instances or 'any'}"
        click.echo(f"{each.id} {each.name:<30} {limits}")


@quotas.command("set")
@click.argument("organisation")
@click.option("--apps", type=int, default=0, show_default=True, help="Applications; 0: no limit.")
@click.option("--instances", type=int, default=0, show_default=True, help="Instances of all its apps; 0: no limit.")
@options.data
def quotas_set(organisation: str, apps: int, instances: int, data: Path | None) -> None:
    """Limit an organisation (its id)."""
    _client(data).set_quota(organisation, apps=apps, instances=instances)
    click.echo(f"{organisation}: apps {apps or 'any'}, instances {instances or 'any'}")


@click.group()
def orgs() -> None:
    """Organisations."""


@orgs.command("create")
@click.argument("name")
@options.data
def orgs_create(name: str, data: Path | None) -> None:
    """Make an organisation of yours."""
    made = _client(data).create_organisation(name)
    click.echo(f"{made.id} {made.name}")


@orgs.command("list")
@options.data
def orgs_list(data: Path | None) -> None:
    """The organisations that you are a member of."""
    for each in _client(data).organisations():
        click.echo(f"{each.id} {each.role:<10} {each.name}")


@orgs.command("invite")
@click.argument("organisation")
@click.argument("email")
@click.option("--role", type=click.Choice(["ADMIN", "MANAGER", "DEVELOPER", "ACCOUNTING"]), default="DEVELOPER")
@options.data
def orgs_invite(organisation: str, email: str, role: str, data: Path | None) -> None:
    """Somebody with an account is a member at once; anybody else is sent a letter (see: havre outbox)."""
    click.echo(_client(data).add_member(organisation, email, role))


@orgs.command("audit")
@click.argument("organisation")
@click.option("--limit", type=int, default=50)
@options.data
def orgs_audit(organisation: str, limit: int, data: Path | None) -> None:
    """Who did what, from where, with what result; newest first."""
    for each in _client(data).audit(organisation, limit=limit):
        where = each.source or "-"
        click.echo(
            f"{_moment(each.at)} {each.result:<7} {each.action:<24} {each.subject} by {each.actor_id} from {where}"
        )


@click.command()
@click.option("--json", "as_json", is_flag=True)
@options.data
def outbox(as_json: bool, data: Path | None) -> None:
    """Letters of the platform, newest first. Without a mail server ([mail] host) this is where they are read."""
    letters = _client(data).outbox()
    if as_json:
        click.echo(json.dumps([each.model_dump() for each in letters], indent=2))
        return
    for each in letters:
        state = "sent" if each.state == "SENT" else each.error or "waits: no mail server is set"
        click.echo(f"{_moment(each.createdAt)} to {each.to}: {each.subject} ({state})\n{each.text}")


def add(main: click.Group) -> None:
    """Add the commands of this file to `havre`."""
    for each in (people, tokens, quotas, orgs, outbox):
        main.add_command(each)
