"""What is particular to PHP apps: two servers that live and die together, mail through the app's relay."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.room.build_rig import BuildRig, open_rig, places
from tests.room.runtime_suite import EXAMPLES, PHP

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
DIE = "<?php posix_kill(posix_getppid(), 9); sleep(5);"
MAIL = "<?php var_export(mail('b@example.test', 'Tide', 'High at noon', ['From' => 'a@example.test']));"
READ = "<?php echo @file_get_contents('/tmp/letters');"
RELAY = r"""<?php
$server = stream_socket_server('tcp://127.0.0.1:2525');
touch('/tmp/listens');
while ($client = stream_socket_accept($server, -1)) {
    fwrite($client, "220 relay\r\n");
    $in_letter = false;
    while (($line = fgets($client)) !== false) {
        file_put_contents('/tmp/letters', $line, FILE_APPEND);
        if ($in_letter) {
            if ($line !== ".\r\n") continue;
            $in_letter = false;
        }
        $word = strtoupper(substr($line, 0, 4));
        $in_letter = $word === 'DATA';
        $answer = ['EHLO' => "250-relay\r\n250 AUTH PLAIN", 'AUTH' => '235 fine', 'DATA' => '354 go on', 'QUIT' => '221 bye'];
        fwrite($client, ($answer[$word] ?? '250 fine') . "\r\n");
        if ($word === 'QUIT') break;
    }
    fclose($client);
}
"""


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


def example(tmp_path: Path, **pages: str) -> Path:
    folder = tmp_path / "app"
    shutil.copytree(EXAMPLES / "php-slim", folder)
    for name, text in pages.items():
        (folder / "public" / f"{name}.php").write_text(text)
    return folder


async def test_an_instance_ends_when_its_php_does(rig: BuildRig, tmp_path: Path) -> None:
    built = await rig.build(example(tmp_path, die=DIE), "php", PHP)
    assert built.exit.is_success, built.said
    async with rig.instance(built) as started:
        assert "Hello from Slim" in await started.answer("/")
        await started.send("/die.php")
        with anyio.fail_after(30):
            ended = await rig.engine.wait(started.id)
        assert not ended.is_success, started.said()
        assert "a part ended" in started.said()


@pytest.mark.soak
async def test_mail_goes_to_the_relay_of_the_app_with_its_password(rig: BuildRig, tmp_path: Path) -> None:
    env = PHP | {"CC_MTA_SERVER_HOST": "127.0.0.1", "CC_MTA_SERVER_PORT": "2525", "CC_MTA_SERVER_USE_TLS": "false"}
    env |= {"CC_MTA_AUTH_USER": "shop", "CC_MTA_AUTH_PASSWORD": "pa ss"}
    env |= {"CC_PRE_RUN_HOOK": "php public/relay.php & until [ -e /tmp/listens ]; do sleep 0.1; done"}
    built = await rig.build(example(tmp_path, mail=MAIL, relay=RELAY, read=READ), "php", env)
    assert built.exit.is_success, built.said
    async with rig.instance(built) as started:
        assert "true" in await started.answer("/mail.php")
        letters = await started.answer("/read.php")
        assert "RCPT TO:<b@example.test>" in letters and "High at noon" in letters
        assert "AUTH PLAIN AHNob3AAcGEgc3M=" in letters
