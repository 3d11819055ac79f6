"""A short form of ./dev soak: every kind of request from many connections through nginx, while programs are killed and
nginx is reloaded. Each answer is held against the model's."""
import dataclasses
import pathlib
import sys
import threading

import pytest
from harness.fake_prometheus import Hold, Reply, vector
from harness.waiting import SLOWDOWN, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))

from checker import Checker, check  # noqa: E402
from memory import Rest  # noqa: E402
from overload import Overload  # noqa: E402
from soak import CUT_A_KILL  # noqa: E402
from stand import CONNECTIONS, WEIGHTS, Stand, write_mix  # noqa: E402

ANSWERS = 2400 // int(SLOWDOWN)


@pytest.fixture
def stand(folder):
    with Stand(folder, users=8, requests=500) as everything:
        yield everything


def test_no_answer_is_wrong_while_programs_die_and_nginx_is_reloaded(stand):
    checker = Checker(stand.nginx, stand.mix)
    load = stand.begin("load", answers=ANSWERS)
    try:
        stand.wait_answered(load, ANSWERS // 6)
        stand.kill(stand.programs.children()[:1])
        stand.wait_answered(load, ANSWERS // 3)
        stand.nginx.reload()
        stand.wait_answered(load, ANSWERS // 2)
        stand.kill(stand.programs.children())
        wait_until(lambda: not load.is_running(), "the end of the load")
        said = load.end()
    finally:
        load.kill()
        checker.end()
    assert said.answers >= ANSWERS - CONNECTIONS
    assert said.wrong == 0, said.examples
    assert said.faults == 0, said.counts
    # What is kept open and idle just when nginx reloads is closed; an answer that has begun cannot be asked again.
    # Three programs were killed, each of which may be sending some.
    cut = len(stand.cut())
    assert sum(said.errors) <= CONNECTIONS + cut and said.cut <= cut <= 3 * CUT_A_KILL, (said.errors, said.cut, cut)
    assert {kind for kind, _ in said.counts} - {"too busy"} == set(WEIGHTS), said.counts
    assert checker.wrong == 0 and checker.checked > 0, checker.faults
    # Three died with requests in their hands, and it was seen.
    assert any(len(attempts) > 1 for attempts in stand.attempts())
    # What they hold is told by each, when it has nothing to do.
    rest = Rest.of(stand.at_rest(), stand.programs.children())
    assert len(rest.allocated) == len(rest.threads) == stand.programs.processes
    assert all(rest.files.values()) and len(set(rest.threads.values())) == 1, rest


def test_who_is_refused_is_told_and_nobody_else_is(folder):
    """Twice as many connections as the programs can take; the operator is answered meanwhile."""
    seen = Overload(folder / "o").run(400 // int(SLOWDOWN), users=8, requests=500)
    assert seen.said.wrong == 0, seen.said.examples
    assert seen.said.faults == sum(seen.said.errors) == 0, (seen.said.counts, seen.said.errors)
    assert seen.busy > 0 and seen.whole >= 400 // int(SLOWDOWN)
    assert not seen.faults and seen.healthy, seen.faults


def test_a_wrong_answer_would_be_seen(stand):
    """What is wanted is another: of both that look, each must say so."""
    other = [dataclasses.replace(wanted, body=wanted.body + " ") if wanted.kind == "400" else wanted
             for wanted in stand.mix]
    write_mix(stand.folder / "mix.lua", other)
    load = stand.begin("load", answers=400)
    try:
        wait_until(lambda: not load.is_running(), "the end of the load")
        said = load.end()
    finally:
        load.kill()
    assert said.wrong == said.counts[("400", 400)] > 0
    assert said.cut == 0 and not stand.cut()
    assert "invalid end timestamp" in said.examples or "group_by" in said.examples, said.examples
    wanted = next(wanted for wanted in other if wanted.kind == "400")
    with pytest.raises(AssertionError):
        check(stand.nginx.get(wanted.target, auth=wanted.auth), wanted)


def test_a_request_whose_program_dies_is_answered_by_another(stand):
    wanted = next(wanted for wanted in stand.mix if wanted.kind == "admin, summary")
    right, hold = stand.world.prometheus.server.answer, Hold(Reply(vector("0")))
    stand.world.prometheus.answers(hold)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(stand.nginx.get(wanted.target, auth=wanted.auth)))
    asking.start()
    hold.wait_held(2)
    stand.world.prometheus.answers(right)
    stand.kill(stand.programs.children())
    asking.join()
    check(answers[0], wanted)
