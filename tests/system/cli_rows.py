"""The 189 sub-commands of `clever` 4.11.0: how each is tried, and what it must say. Data alone.

A row is tried in its lane, in the order of this file; what `keep` captures is `{name}` in the lines that follow.
`docs/reference/cli-coverage.md` is written from this table: python -m tests.system.cli_rows > docs/reference/cli-coverage.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Literal

ANSWER = "not offered by this installation"
Tier = Literal["T1", "T2", "T3"]
ORGANISATION = "in an organisation"


@dataclass(frozen=True)
class Row:
    """`shows`: a regular expression that stands in what the command says. `refuses`: it ends with 1 instead, saying so,
    because it is not built. `usage`: a command that only has others below it; it ends with 1 and its usage.
    `before`: what the suite does first, by name. `more`: further lines of the same command."""

    command: str
    tier: Tier
    lane: str
    line: str
    shows: str = ""
    refuses: str = ""
    usage: bool = False
    code: int = 0
    keep: tuple[str, str] | None = None
    before: str = ""
    more: tuple[str, ...] = ()
    said: str = ""  # on stdin

    @property
    def key(self) -> str:
        """What tells a row apart: a command may be tried in more than one lane."""
        return f"{self.command} ({self.lane})" if self.lane == ORGANISATION else self.command

    @property
    def state(self) -> str:
        return f"answers: {self.refuses}" if self.refuses else "passes"


UNKNOWN = "11111111-1111-4111-8111-111111111111"
CLUSTER = "kubernetes_01J0000000000000000000000A"
NODES = "node_group_01J0000000000000000000000A"


def _account() -> list[Row]:
    lane = "account"
    return [
        Row("version", "T1", lane, "version", r"4\.11\.0"),
        Row("help", "T1", lane, "help", "create"),
        Row("features", "T1", lane, "features", "ng", more=("features -F json",)),
        Row("features list", "T1", lane, "features list -F json", '"k8s"'),
        Row("features info", "T1", lane, "features info kv", "Materia|kv"),
        Row("features enable", "T1", lane, "features enable kv", "enabled"),
        Row("features disable", "T1", lane, "features disable kv", "disabled"),
        Row("login", "T1", lane, "login", "Login successful as", before="sign_in_in_the_browser"),
        Row("profile", "T1", lane, "profile", "operator@havre.localhost", more=("profile -F json",)),
        Row("profile list", "T1", lane, "profile list -F json", '"default"'),
        Row("profile open", "T1", lane, "profile open", "(?i)opening"),
        Row("profile switch", "T1", lane, "profile switch --alias second", "second", before="second_profile"),
        Row("diag", "T1", lane, "diag", "valid token", more=("diag -F json",)),
        Row("curl", "T1", lane, "curl {api}/v2/self", "user_"),
        Row("tokens create", "T2", lane, "tokens create robot -F json", '"apiToken"',
            keep=("token_id", r'"apiTokenId": "([^"]+)"'), said="password"),
        Row("tokens", "T2", lane, "tokens", "robot", more=("tokens -F json",)),
        Row("tokens revoke", "T2", lane, "tokens revoke {token_id}", "revoked"),
        Row("emails add", "T2", lane, "emails add other@example.test", "confirmation email"),
        Row("emails", "T2", lane, "emails", "other@example.test", before="confirm_email", more=("emails -F json",)),
        Row("emails open", "T2", lane, "emails open", "(?i)opening"),
        Row("emails primary", "T2", lane, "emails primary other@example.test", "Primary address updated"),
        Row("emails remove", "T2", lane, "emails remove operator@havre.localhost", "removed"),
        Row("emails remove-all", "T2", lane, "emails remove-all --yes", "(?i)no secondary|removed"),
        Row("ssh-keys add", "T2", lane, "ssh-keys add laptop {key}.pub", "added successfully", before="key"),
        Row("ssh-keys", "T2", lane, "ssh-keys", "laptop", more=("ssh-keys -F json",)),
        Row("ssh-keys open", "T2", lane, "ssh-keys open", "(?i)opening"),
        Row("ssh-keys remove", "T2", lane, "ssh-keys remove laptop", "removed"),
        Row("ssh-keys remove-all", "T2", lane, "ssh-keys remove-all --yes", "(?i)no ssh keys|removed"),
        Row("oauth-consumers", "T2", lane, "oauth-consumers", "USAGE", usage=True),
        Row("oauth-consumers create", "T2", lane,
            "oauth-consumers create portal -d x --url https://portal.example.test --picture https://portal.example.test/p"
            " --base-url https://portal.example.test --rights access-personal-information -F json",
            '"key"', keep=("consumer", r'"key": "([^"]+)"')),
        Row("oauth-consumers list", "T2", lane, "oauth-consumers list", "portal", more=("oauth-consumers list -F json",)),
        Row("oauth-consumers get", "T2", lane, "oauth-consumers get {consumer} --with-secret", "Secret",
            more=("oauth-consumers get portal -F json",)),
        Row("oauth-consumers update", "T2", lane, "oauth-consumers update {consumer} --name door", "updated"),
        Row("oauth-consumers open", "T2", lane, "oauth-consumers open {consumer}", "(?i)opening"),
        Row("oauth-consumers delete", "T2", lane, "oauth-consumers delete {consumer} --yes", "deleted"),
        Row("logout", "T1", lane, "logout", "(?i)logged out|logout"),
    ]  # fmt: skip


def _app() -> list[Row]:
    lane = "app"
    return [
        Row("create", "T1", lane, "create -t node shop --alias shop", "successfully created"),
        Row("applications", "T1", lane, "applications", "shop", more=("applications --json", "applications --only-aliases")),
        Row("deploy", "T1", lane, "deploy", "Access your application: https://shop", keep=("app", "(app_[0-9a-f-]{36})")),
        Row("applications list", "T1", lane, "applications list", "shop", more=("applications list -F json",)),
        Row("activity", "T1", lane, "activity", "DEPLOY", more=("activity -F json", "activity --show-all -F json-stream")),
        Row("status", "T1", lane, "status", "running", more=("status -F json",)),
        Row("open", "T1", lane, "open", "(?i)opening"),
        Row("console", "T1", lane, "console", "(?i)opening"),
        Row("logs", "T1", lane, "logs --since 1h --until 0s", "listening soon",
            more=("logs --since 1h --until 0s -F json", "logs --since 1h --until 0s --search soon -F json-stream")),
        Row("accesslogs", "T2", lane, "accesslogs --since 1h --until 0s", "GET", before="visit",
            more=("accesslogs --since 1h --until 0s -F json", "accesslogs --since 1h --until 0s -F clf",
                  "accesslogs --since 1h --until 0s -F json-stream")),
        Row("env set", "T1", lane, "env set GREETING bonjour", "successfully"),
        Row("env import", "T1", lane, "env import", "(?i)set|import|success", said="GREETING=salut\nOTHER='a b'\n"),
        Row("env import-vars", "T1", lane, "env import-vars L", "(?i)success|import"),
        Row("env rm", "T1", lane, "env rm OTHER", "successfully removed"),
        Row("env", "T1", lane, "env", "GREETING", more=("env -F json", "env -F shell", "env --add-export")),
        Row("config", "T1", lane, "config", "zero-downtime|name"),
        Row("config get", "T1", lane, "config get name", "shop"),
        Row("config set", "T1", lane, "config set description things", "(?i)description|success"),
        Row("config update", "T1", lane, "config update --description wares", "(?i)wares|success"),
        Row("domain add", "T1", lane, "domain add www.example.test/api", "saved|added"),
        Row("domain", "T1", lane, "domain", "www.example.test", more=("domain -F json",)),
        Row("domain favourite set", "T1", lane, "domain favourite set www.example.test/api", "(?i)saved|success"),
        Row("domain favourite", "T1", lane, "domain favourite", "www.example.test", more=("domain favourite -F json",)),
        Row("domain favourite unset", "T1", lane, "domain favourite unset", "(?i)unset|success"),
        Row("domain overview", "T1", lane, "domain overview", "www.example.test", more=("domain overview -F json",)),
        Row("domain diag", "T2", lane, "domain diag -F json", "www.example.test", code=1),
        Row("domain rm", "T1", lane, "domain rm www.example.test/api", "removed"),
        Row("tcp-redirs", "T2", lane, "tcp-redirs", "No active TCP redirection"),
        Row("tcp-redirs list-namespaces", "T2", lane, "tcp-redirs list-namespaces", "default", more=(
            "tcp-redirs list-namespaces -F json",)),
        Row("tcp-redirs add", "T2", lane, "tcp-redirs add --namespace default", "Successfully added",
            keep=("port", r"on port: (\d+)"), more=("tcp-redirs -F json",)),
        Row("tcp-redirs remove", "T2", lane, "tcp-redirs remove {port} --namespace default", "Successfully removed"),
        Row("published-config set", "T2", lane, "published-config set DOOR open", "successfully saved"),
        Row("published-config import", "T2", lane, "published-config import", "(?i)success|set|published",
            said="DOOR=shut\nBELL=loud\n"),
        Row("published-config", "T2", lane, "published-config", "DOOR", more=("published-config -F json",)),
        Row("published-config rm", "T2", lane, "published-config rm BELL", "successfully removed"),
        Row("service link-app", "T2", lane, "service link-app other", "successfully linked", before="other_app"),
        Row("service", "T2", lane, "service", "other", more=("service -F json", "service --show-all", "service --only-apps")),
        Row("service unlink-app", "T2", lane, "service unlink-app other", "successfully"),
        Row("service link-addon", "T2", lane, f"service link-addon addon_{UNKNOWN}", refuses=ANSWER),
        Row("service unlink-addon", "T2", lane, f"service unlink-addon addon_{UNKNOWN}", refuses=ANSWER),
        Row("webhooks add", "T2", lane, "webhooks add bell {sink}/hook", "has been added"),
        Row("webhooks", "T2", lane, "webhooks", "bell", keep=("hook", r"id: (\S+)"), more=("webhooks --list-all -F json",)),
        Row("webhooks remove", "T2", lane, "webhooks remove {hook}", "successfully removed"),
        Row("notify-email add", "T2", lane, "notify-email add post --notify team@example.test", "has been added"),
        Row("notify-email", "T2", lane, "notify-email", "team@example.test", keep=("mailhook", r"id: (\S+)"),
            more=("notify-email --list-all -F json",)),
        Row("notify-email remove", "T2", lane, "notify-email remove {mailhook}", "successfully removed"),
        Row("drain create", "T2", lane, "drain create raw-http {sink}/drain", "successfully created",
            keep=("drain", r"Drain (\S+) has")),
        Row("drain", "T2", lane, "drain", "RAW|Raw HTTP", more=("drain -F json",)),
        Row("drain get", "T2", lane, "drain get {drain}", "Raw HTTP", more=("drain get {drain} -F json",)),
        Row("drain check", "T2", lane, "drain check {drain}", "OK", more=("drain check {drain} -F json",)),
        Row("drain disable", "T2", lane, "drain disable {drain}", "disabled"),
        Row("drain enable", "T2", lane, "drain enable {drain}", "enabled"),
        Row("drain remove", "T2", lane, "drain remove {drain}", "removed"),
        Row("ssh", "T2", lane, "ssh -i {app_key} -c 'echo $APP_ID'", "app_", before="ssh_key"),
        Row("scale", "T1", lane, "scale --flavor XS --max-instances 2", "(?i)scaled|success"),
        Row("restart", "T1", lane, "restart --quiet", "Access your application"),
        Row("cancel-deploy", "T1", lane, "cancel-deploy", "(?i)cancel", before="slow_deploy"),
        Row("unlink", "T1", lane, "unlink shop", "unlinked"),
        Row("link", "T1", lane, "link {app} --alias till", "successfully linked"),
        Row("make-default", "T1", lane, "make-default till", "default"),
        Row("stop", "T1", lane, "stop", "stopped"),
        Row("delete", "T1", lane, "delete --yes", "deleted"),
    ]  # fmt: skip


def _organisation() -> list[Row]:
    """The whole life of an app again, in an organisation."""

    def said(text: str) -> str:
        text = text.replace("{app}", "{org_app}").replace("shop", "stall").replace("www.", "stall.")
        return text.replace("create -t node", "create -t node --org Market").replace("till", "counter")

    found = [each for each in _app() if each.tier == "T1"]
    return [
        replace(
            each, lane=ORGANISATION, line=said(each.line), shows=said(each.shows), more=tuple(map(said, each.more)),
            before="organisation" if each.command == "create" else each.before,
            keep=("org_app", each.keep[1]) if each.keep is not None else None,
        )
        for each in found
    ]  # fmt: skip


def _addons() -> list[Row]:
    lane, addon = "addons", f"addon_{UNKNOWN}"
    return [
        Row("addon", "T2", lane, "addon", more=("addon -F json",)),
        Row("addon list", "T2", lane, "addon list", more=("addon list -F json",)),
        Row("addon providers", "T2", lane, "addon providers", more=("addon providers -F json",)),
        Row("addon providers show", "T2", lane, "addon providers show postgresql-addon", refuses="Invalid provider name"),
        Row("addon create", "T2", lane, "addon create postgresql-addon pg --yes", refuses="Invalid provider name"),
        Row("addon env", "T2", lane, f"addon env {addon}", refuses="does not exist"),
        Row("addon rename", "T2", lane, f"addon rename {addon} new", refuses=ANSWER),
        Row("addon delete", "T2", lane, f"addon delete {addon} --yes", refuses="does not exist|not found"),
        Row("config-provider", "T2", lane, "config-provider", "USAGE", usage=True),
        Row("config-provider list", "T2", lane, "config-provider list", "No configuration provider"),
        Row("config-provider get", "T2", lane, "config-provider get x", refuses="Config provider not found"),
        Row("config-provider import", "T2", lane, "config-provider import x", refuses="Config provider not found", said="A=1\n"),
        Row("config-provider open", "T2", lane, "config-provider open x", refuses="Config provider not found"),
        Row("config-provider rm", "T2", lane, "config-provider rm x A", refuses="Config provider not found"),
        Row("config-provider set", "T2", lane, "config-provider set x A 1", refuses="Config provider not found"),
        Row("database", "T2", lane, "database", "USAGE", usage=True),
        Row("database backups", "T2", lane, f"database backups {addon}", refuses="does not exist"),
        Row("database backups download", "T2", lane, f"database backups download {addon} b", refuses="does not exist"),
        Row("kv", "T3", lane, "kv shelf PING", refuses="Add-on shelf not found"),
    ]  # fmt: skip


def _operators() -> list[Row]:
    rows = []
    plain = ("get", "open", "open logs", "open webui", "rebuild", "restart")
    versions = ("version", "version check", "version update")
    groups = ("enable-ng", "disable-ng")
    kinds = {
        "keycloak": (*plain, *versions, *groups),
        "matomo": plain,
        "metabase": (*plain, *versions),
        "otoroshi": (*plain, "get-config", "open swaggerui", *versions, *groups),
    }
    for kind, commands in kinds.items():
        rows.append(Row(kind, "T3", "operators", kind, "No .* found|operator"))
        rows += [
            Row(f"{kind} {each}", "T3", "operators", f"{kind} {each} {kind}_{UNKNOWN}", refuses=ANSWER)
            for each in commands
        ]
    return rows


def _clusters() -> list[Row]:
    lane = "clusters"
    lines = {
        "activity": CLUSTER, "add-persistent-storage": CLUSTER, "create": "one --yes", "delete": f"{CLUSTER} --yes",
        "get": CLUSTER, "get-kubeconfig": CLUSTER, "list": "", "nodegroups create": f"{CLUSTER} more XS:1",
        "nodegroups delete": f"{CLUSTER} {NODES} --yes", "nodegroups get": f"{CLUSTER} {NODES}",
        "nodegroups list": CLUSTER, "nodegroups update": f"{CLUSTER} {NODES} --count 2", "quota": "",
        "update": f"{CLUSTER} --name two", "version": CLUSTER, "version check": CLUSTER,
        "version update": f"{CLUSTER} --target 1.34",
    }  # fmt: skip
    rows = [Row(f"k8s {name}", "T3", lane, f"k8s {name} {rest}", refuses=ANSWER) for name, rest in lines.items()]
    rows += [Row(each, "T3", lane, each, "USAGE", usage=True) for each in ("k8s", "k8s nodegroups")]
    groups = {
        "": "", "create": "near", "create external": f"laptop ng_{UNKNOWN} key", "delete": f"ng_{UNKNOWN}",
        "delete external": f"external_{UNKNOWN} ng_{UNKNOWN}", "get": f"ng_{UNKNOWN}",
        "get-config": f"external_{UNKNOWN} ng_{UNKNOWN}", "link": f"app_{UNKNOWN} ng_{UNKNOWN}", "search": "near",
        "unlink": f"app_{UNKNOWN} ng_{UNKNOWN}",
    }  # fmt: skip
    rows += [
        Row(f"ng {name}".strip(), "T3", lane, f"ng {name} {rest}", refuses=ANSWER) for name, rest in groups.items()
    ]
    return rows


def _now(row: Row) -> Row:
    return replace(row, refuses=NOT_YET[row.command]) if row.command in NOT_YET else row


NOT_YET: dict[str, str] = {}
ROWS: tuple[Row, ...] = tuple(_now(row) for row in (*_account(), *_app(), *_addons(), *_operators(), *_clusters()))
ALL: tuple[Row, ...] = (*ROWS, *_organisation())


SAMPLE = frozenset(
    {"keycloak", "keycloak get", "matomo restart", "metabase version check", "otoroshi get-config", "k8s list", "k8s create",
     "k8s quota", "ng", "ng create", "ng search", "kv"}
)  # fmt: skip


# what waits for a name server of the world: by the longer trials alone
SLOW = frozenset({"domain diag"})


def is_quick(row: Row) -> bool:
    """Whether a row is tried each time; what is not built is tried by a sample, and all of it by the longer trials."""
    return (row.tier != "T3" or row.command in SAMPLE) and row.command not in SLOW


def page() -> str:
    """docs/reference/cli-coverage.md."""
    rows = sorted(ROWS, key=lambda row: row.command)
    counts = {tier: [row for row in rows if row.tier == tier] for tier in ("T1", "T2", "T3")}
    passing = {tier: sum(1 for row in found if not row.refuses) for tier, found in counts.items()}
    share = ", ".join(f"{passing[tier]} of {len(found)} in {tier}" for tier, found in counts.items())
    lines = [
        "# What of the command line works",
        "",
        "`clever` 4.11.0, unmodified, all 189 sub-commands, each tried against a real installation by",
        "`tests/system/test_system_cli_coverage.py`. This page is written from the table of that suite",
        "(`python -m tests.system.cli_rows > docs/reference/cli-coverage.md`), and a test checks that it says the same.",
        "",
        f"Passing: {share}. T1 is an app's whole life, T2 what stands around it, T3 operators, network groups, Kubernetes, KV.",
        "The longer trials go through T1's commands of an app a second time, in an organisation.",
        "A command that is not built ends with exit code 1 and the sentence that the table quotes.",
        "",
        "| command | tier | state |",
        "|---|---|---|",
        *(f"| `clever {row.command}` | {row.tier} | {row.state.replace('|', ' or ')} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
