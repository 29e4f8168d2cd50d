"""What a device says is there, once, in its order and with the time it was said."""

import pytest
from firmware.conformance.house import House

pytestmark = pytest.mark.servers


def test_messages_are_there_once_although_answers_are_lost(house: House) -> None:
    house.start()
    house.link.lose_answer("POST /api/messages")
    said = [("warning", "sensor 3 does not answer"), ("info", "back again: 21 °C"), ("critical", 'a "quoted" word')]
    for severity, content in said:
        house.until_ended(house.do("say", severity=severity, content=content))
    house.until(lambda: [one for one in house.desk.messages(house.key) if one in said] == said, "all are there, once")
