"""What an instance runs, from variables and files: workers, cron, hooks, tasks."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.apps import decide, launch
from havre.apps.launch import Launch, Process, Restart, cron
from havre.base.errors import InvalidError


def launched(env: dict[str, str], **more: object) -> Launch:
    return launch.launch_of(start="node server.js", env=env, **more)  # type: ignore[arg-type]


def test_workers_are_named_by_their_variables_and_come_in_order() -> None:
    env = {"CC_WORKER_COMMAND_10": "ten", "CC_WORKER_COMMAND_2": "two", "CC_WORKER_COMMAND": " first ", "OTHER": "x"}
    found = launched(env, workers=["celery worker"]).beside
    assert [(each.name, each.line) for each in found] == [
        ("worker", "first"), ("worker-2", "two"), ("worker-10", "ten"), ("worker-0", "celery worker"),
    ]  # fmt: skip
    assert {(each.restart, each.delay_s) for each in found} == {(Restart.ON_FAILURE, 1.0)}
    assert found[1].service == "bas-worker-2.service"


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("CC_WORKER_RESTART", "sometimes", "always, on-failure, no"),
        ("CC_WORKER_RESTART_DELAY", "soon", "number of seconds"),
        ("CC_WORKER_RESTART_DELAY", "3601", "number of seconds"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_its_name(name: str, value: str, word: str) -> None:
    with pytest.raises(InvalidError, match=f"{name}={value} .*{word}"):
        launched({"CC_WORKER_COMMAND": "x", name: value})


def test_the_policy_and_the_delay_hold_for_all_workers() -> None:
    env = {"CC_WORKER_COMMAND": "x", "CC_WORKER_RESTART": "always", "CC_WORKER_RESTART_DELAY": "2.5s"}
    assert launched(env).beside == (Process("worker", "x", Restart.ALWAYS, 2.5, "bas-worker.service"),)


def test_more_workers_than_anybody_needs_are_refused() -> None:
    with pytest.raises(InvalidError, match="32 workers"):
        launched({f"CC_WORKER_COMMAND_{number}": "x" for number in range(33)})


def test_an_app_alone_needs_no_launcher_and_one_with_a_pre_run_hook_neither() -> None:
    assert launched({}).is_plain
    assert launched({"CC_PRE_RUN_HOOK": "./ready.sh"}).is_plain
    assert launch.plain_line(launched({"CC_PRE_RUN_HOOK": "a 'b'"})) == (
        "/bin/sh -c 'a '\"'\"'b'\"'\"'' || exit $?\nexec node server.js"
    )
    for env in ({"CC_WORKER_COMMAND": "x"}, {"CC_RUN_SUCCEEDED_HOOK": "x"}, {"CC_RUN_FAILED_HOOK": "x"}):
        assert not launched(env).is_plain


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("node a.js", "exec node a.js"),
        ("A=1 node a.js", "exec env A=1 node a.js"),
        ("node a.js && node b.js", "node a.js && node b.js"),
        (". ./env; node a.js", ". ./env; node a.js"),
        ("cd app", "cd app"),
        ("", "exec "),
    ],
)
def test_a_plain_command_takes_the_shells_place(line: str, becomes: str) -> None:
    assert launch.becoming(line) == becomes


def test_nothing_runs_beside_a_task() -> None:
    found = launched({"CC_WORKER_COMMAND": "x"}, workers=["y"], cron_text='["* * * * * z"]', ends=True)
    assert (found.beside, found.cron, found.ends) == ((), (), True)


@pytest.mark.parametrize(
    ("lifetime", "env", "answer"),
    [("TASK", {}, True), ("REGULAR", {}, False), ("REGULAR", {"CC_TASK": "true"}, True), ("REGULAR", {"CC_TASK": "no"}, False)],
)  # fmt: skip
def test_a_task_is_one_by_its_creation_or_by_its_variable(lifetime: str, env: dict[str, str], answer: bool) -> None:
    assert decide.is_task(lifetime, env) is answer


def test_each_service_has_a_file_of_its_own_until_the_descriptors_are_used_up() -> None:
    few = launched({"CC_WORKER_COMMAND": "x"}, cron_text='["* * * * * z"]')
    assert launch.services(few) == ("bas-cron.service", "bas-worker.service")
    many = launched({f"CC_WORKER_COMMAND_{number}": "x" for number in range(9)}, cron_text='["* * * * * z"]')
    assert launch.services(many) == (
        "bas-cron.service", *(f"bas-worker-{number}.service" for number in range(5)), "bas-workers.service",
    )  # fmt: skip
    assert launch.script(many).count(">&9 2>&1") == 4


def test_the_text_of_a_line_is_never_the_shells_before_it_is_the_apps() -> None:
    nasty = "echo '$(id)' \"`id`\"; echo \\n"
    text = launch.script(launched({"CC_WORKER_COMMAND": nasty, "CC_RUN_FAILED_HOOK": nasty}))
    assert "'echo '\"'\"'$(id)'\"'\"' \"`id`\"; echo \\n'" in text


def test_a_replacement_of_what_crashed_runs_no_hook_of_a_deployment() -> None:
    found = launch.without_hooks(
        launched({"CC_WORKER_COMMAND": "x", "CC_PRE_RUN_HOOK": "p", "CC_RUN_FAILED_HOOK": "f"})
    )
    assert (found.before, found.failed, len(found.beside), found.hears) == ("p", "", 1, False)


# cron.json


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not valid JSON"),
        ('{"a": 1}', "array of crontab lines"),
        ("[1]", "array of crontab lines"),
        ('["* * * * true"]', "five fields"),
        ('["60 * * * * true"]', "'60' is not within 0 to 59"),
        ('["* * 0 * * true"]', "'0' is not within 1 to 31"),
        ('["5-1 * * * * true"]', "'5-1' is not within 0 to 59"),
        ('["*/0 * * * * true"]', r"'\*/0' is not within"),
        ('["* * * foo * true"]', "'foo' is not a number"),
        ('["* * * * * "]', "five fields"),
        ('["@never true"]', "@never is not one of"),
        ('["@daily"]', "no command"),
    ],
)
def test_a_line_that_is_none_is_refused_with_what_is_wrong(text: str, word: str) -> None:
    with pytest.raises(InvalidError, match=word):
        cron.parse(text)


def test_fields_have_ranges_steps_lists_and_names() -> None:
    [job] = cron.parse('["*/20,5 1-3 1,31 jan-MAR,12 sun,5-7 $ROOT/a.sh --of me"]')
    assert sorted(job.minute.numbers) == [0, 5, 20, 40]
    assert sorted(job.hour.numbers) == [1, 2, 3]
    assert sorted(job.day.numbers) == [1, 31]
    assert sorted(job.month.numbers) == [1, 2, 3, 12]
    assert sorted(job.weekday.numbers) == [0, 5, 6]
    assert job.line == "$ROOT/a.sh --of me"


def test_what_stands_after_a_bare_percent_is_the_input_and_an_escaped_one_is_itself() -> None:
    [job] = cron.parse(r'["@daily date +\\%F | mail%hello%you"]')
    assert (job.line, job.stdin) == ("date +%F | mail", "hello\nyou\n")


def test_comments_and_empty_lines_are_no_jobs() -> None:
    assert cron.parse('["", "# nothing", "  "]') == ()


fields = st.one_of(
    st.just("*"),
    st.integers(1, 6).map(str),
    st.tuples(st.integers(1, 3), st.integers(4, 6)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.integers(1, 7).map(lambda step: f"*/{step}"),
    st.lists(st.integers(1, 6), min_size=1, max_size=3).map(lambda each: ",".join(map(str, each))),
)


@given(minute=fields, hour=fields, day=fields, month=fields, weekday=fields, at=st.datetimes())
def test_a_job_is_due_when_crontab_says_so(
    minute: str, hour: str, day: str, month: str, weekday: str, at: datetime
) -> None:
    """Against a second reading of crontab(5), minute by minute around a moment."""
    [job] = cron.parse(f'["{minute} {hour} {day} {month} {weekday} true"]')

    def meets(text: str, value: int, low: int) -> bool:
        return any(_meets(part, value, low) for part in text.split(","))

    for step in range(3):
        now = at + timedelta(minutes=step) if at.year < 9999 else at
        sunday_is_0 = now.isoweekday() % 7
        days = meets(day, now.day, 1), meets(weekday, sunday_is_0, 0) or (sunday_is_0 == 0 and meets(weekday, 7, 0))
        day_ok = any(days) if "*" not in day and "*" not in weekday else all(days)
        expected = meets(minute, now.minute, 0) and meets(hour, now.hour, 0) and meets(month, now.month, 1) and day_ok
        assert is_due(job, now) is expected


def _meets(part: str, value: int, low: int) -> bool:
    if part.startswith("*"):
        return (value - low) % int(part[2:] or 1) == 0
    first, _, last = part.partition("-")
    return int(first) <= value <= int(last or first)


def is_due(job: cron.Job, now: datetime) -> bool:
    days = now.day in job.day.numbers, now.isoweekday() % 7 in job.weekday.numbers
    day_ok = any(days) if not (job.day.is_any or job.weekday.is_any) else all(days)
    return (
        now.minute in job.minute.numbers and now.hour in job.hour.numbers and now.month in job.month.numbers and day_ok
    )
