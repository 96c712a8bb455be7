"""The SSH key of an app: for submodules and private dependencies, in builds alone, and in no log.

CC_SSH_PRIVATE_KEY is the key itself, else `clevercloud/ssh.json` names its file in the repository. Builds have it as
a file of `~/.ssh` with a configuration that uses it and no other; neither their variables nor an instance's hold it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from havre.apps import files
from havre.apps.model import App
from havre.base.errors import InvalidError
from havre.base.secret import Secret
from havre.kernel.config import Paths

FILE = "clevercloud/ssh.json"
LIMIT_BYTES = 64 * 1024
KEY, NAME = "HAVRE_SSH_KEY", "HAVRE_SSH_NAME"  # how the key gets into a build
KNOWN = "/home/bas/.ssh/known"  # the hosts that the app's builds have met: a host that changes its key is refused
VARIABLE = "CC_SSH_PRIVATE_KEY"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")

# A sandbox whose way out is a proxy reaches ssh servers through it too (RFC 9110 section 9.3.6).
PRELUDE = f"""
if [ -n "${{{KEY}:-}}" ]; then
  (
    umask 077
    mkdir -p "$HOME/.ssh" && cd "$HOME/.ssh" || exit 1
    printf '%s\\n' "${KEY}" > "${NAME}"
    cat > config <<END
Host *
  IdentityFile ~/.ssh/${NAME}
  IdentitiesOnly yes
  BatchMode yes
  ConnectTimeout 30
  StrictHostKeyChecking accept-new
  UserKnownHostsFile {KNOWN}/hosts
END
    if [ -n "${{HTTPS_PROXY:-}}" ]; then
      echo '  ProxyCommand /bin/bash ~/.ssh/connect %h %p' >> config
      cat > connect <<'END'
place=${{HTTPS_PROXY#*://}} place=${{place%%/*}} who=
case $place in *@*) who=${{place%@*}} place=${{place##*@}} ;; esac
exec 3<>"/dev/tcp/${{place%:*}}/${{place##*:}}" || exit 1
printf 'CONNECT %s:%s HTTP/1.1\\r\\nHost: %s:%s\\r\\n' "$1" "$2" "$1" "$2" >&3
[ -z "$who" ] || printf 'Proxy-Authorization: Basic %s\\r\\n' "$(printf '%s' "$who" | base64 -w0)" >&3
printf '\\r\\n' >&3
IFS= read -r line <&3
case $line in *' 200'*) ;; *) echo "$1: the way out answers: $line" >&2; exit 1 ;; esac
while IFS= read -r line <&3 && [ "$line" != $'\\r' ]; do :; done
cat <&3 &
cat >&3
END
    fi
  ) || exit 1
fi
unset {KEY} {NAME}
"""


@dataclass(frozen=True, slots=True)
class Key:
    """`name` is that of its file in `~/.ssh`."""

    name: str
    text: Secret

    def environment(self) -> dict[str, str]:
        """How it is handed to a build, whose PRELUDE makes files of it."""
        return {KEY: self.text.reveal(), NAME: self.name}


def known_hosts(paths: Paths, app: App) -> Path:
    """The folder that becomes KNOWN."""
    return paths.data / "known-hosts" / app.id


def key_of(env: Mapping[str, str], folder: Path) -> Key | None:
    """The key of an app whose files are in `folder`; None when it has none.

    Raises InvalidError when what is named is not a key; its text is in no message.
    """
    name = env.get("CC_SSH_PRIVATE_KEY_FILE", "").strip() or "id_ed25519"
    if not _NAME.fullmatch(name) or name in ("config", "connect", "known"):
        raise InvalidError(f"CC_SSH_PRIVATE_KEY_FILE={name[:60]!r} is not the name of a file in ~/.ssh")
    text, where = env.get(VARIABLE, ""), VARIABLE
    if not text.strip():
        found = files.read_inside(folder, FILE, limit_bytes=LIMIT_BYTES)
        if found is None:
            return None
        text, where = _named(found, folder), f"the file that {FILE} names"
    text = text.replace("\r\n", "\n").strip()
    if "\n" not in text:
        text = text.replace("\\n", "\n")  # as a file of variables writes it in one line
    if not _KEY.match(text):
        raise InvalidError(f"{where} is not a private key (-----BEGIN OPENSSH PRIVATE KEY----- …)")
    return Key(name, Secret(text))


def _named(said: bytes, folder: Path) -> str:
    """The text of the file that ssh.json names."""
    try:
        path = str(json.loads(said)["privateKeyFile"])
    except (ValueError, KeyError, TypeError) as cause:
        raise InvalidError(f'{FILE} must be {{"privateKeyFile": "path of the key in the repository"}}') from cause
    found = files.read_inside(folder, path.strip("/"), limit_bytes=LIMIT_BYTES) if path.strip("/") else None
    if found is None:
        raise InvalidError(f"{FILE} names {path[:100]!r}, which is not a file of the repository")
    return found.decode(errors="replace")
