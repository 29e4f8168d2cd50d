"""Commands find their function, have one outcome, and keep their lease while they take."""

import asyncio
import json

import board
from board import Hub
from waystation.errors import LinkError, Refused

from waystation import storage
from waystation.commands import Commands, Failed


class Desk:
    """A hub with commands, each handed out until it has an outcome that is final."""

    def __init__(self, *names, lease_seconds=60):
        self.waiting = [
            {"id": "c%d" % number, "name": name, "parameters": {"n": number}, "once": False}
            for number, name in enumerate(names)
        ]
        self.lease_seconds = lease_seconds
        self.outcomes = []
        self.fault = None

    def __call__(self, method, path, body):
        if method == "GET":
            command = self.waiting[0] if self.waiting else None
            if command:
                command["lease_seconds"] = self.lease_seconds
            return {"command": command}
        outcome = json.loads(body)
        self.outcomes.append(outcome)
        ids = [one["id"] for one in self.waiting[:1]]
        if outcome["state"] != "running" and outcome["id"] in ids and self.fault is None:
            self.waiting.pop(0)
        fault, self.fault = self.fault, None
        return fault or {"id": outcome["id"], "state": outcome["state"]}


def commands_for(desk, **functions):
    commands = Commands(Hub(desk), None, "journal", wait_seconds=0)
    for name, function in functions.items():
        commands.on(name, function)
    return commands


async def outcomes_of(function):
    desk = Desk("do")
    commands = commands_for(desk, do=function)
    assert await commands.serve()
    assert not await commands.serve()
    return desk.outcomes


async def test_a_plain_function_answers_with_what_it_returns():
    assert await outcomes_of(lambda parameters: {"was": parameters["n"]}) == [
        {"id": "c0", "state": "done", "result": {"was": 0}}
    ]


async def test_an_async_function_answers_with_what_it_returns():
    async def do(parameters):
        await asyncio.sleep(0.01)

    assert await outcomes_of(do) == [{"id": "c0", "state": "done"}]


async def test_a_function_that_fails_says_why():
    def do(parameters):
        raise Failed({"reason": "stuck"})

    assert await outcomes_of(do) == [{"id": "c0", "state": "failed", "result": {"reason": "stuck"}}]


async def test_a_function_that_breaks_ends_nothing_but_itself():
    (outcome,) = await outcomes_of(lambda parameters: parameters["absent"])
    assert outcome["state"] == "failed"
    assert "absent" in outcome["result"]


async def test_a_result_that_is_too_long_is_not_kept():
    (outcome,) = await outcomes_of(lambda parameters: "x" * 5000)
    assert outcome["state"] == "done"
    assert len(outcome["result"]) < 100


async def test_what_nobody_knows_is_rejected():
    desk = Desk("unheard-of")
    await commands_for(desk).serve()
    assert desk.outcomes[0]["state"] == "rejected"


async def test_what_is_handed_out_again_is_not_done_again():
    desk, ran = Desk("do"), []
    desk.fault = LinkError("the answer was lost")
    commands = commands_for(desk, do=lambda parameters: ran.append(1))
    try:
        await commands.serve()
    except LinkError:
        pass
    await commands.serve()
    after_restart = commands_for(desk, do=lambda parameters: ran.append(1))
    await after_restart.serve()
    assert len(ran) == 1
    assert not desk.waiting


async def test_an_outcome_that_the_hub_does_not_want_is_said_once():
    desk = Desk("do")
    desk.fault = Refused(409, "it expired")
    commands = commands_for(desk, do=lambda parameters: None)
    await commands.serve()
    desk.waiting.clear()
    await commands.serve()
    assert len(desk.outcomes) == 1


async def test_the_lease_is_renewed_while_it_takes():
    async def do(parameters):
        await asyncio.sleep(2.3)

    desk = Desk("do", lease_seconds=2)
    await commands_for(desk, do=do).serve()
    assert [one["state"] for one in desk.outcomes] == ["running", "running", "done"]


async def test_many_commands_do_not_let_the_journal_grow():
    desk, ran = Desk(*["do"] * 60), []
    commands = commands_for(desk, do=lambda parameters: ran.append(parameters["n"]))
    while await commands.serve():
        pass
    assert ran == list(range(60))
    assert storage.size("journal") < 8000


board.run(globals())
