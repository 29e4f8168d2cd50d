"""Texts as they are shown."""

from waystation.messages import on_one_line, severity_of, visible


def test_control_characters_are_shown_and_line_breaks_kept() -> None:
    assert visible("\x1b[31mhot\x07\r\n\tyes\x7f") == "\\x1b[31mhot\\x07\\x0d\n\tyes\\x7f"
    assert visible("grün 温度 🔥") == "grün 温度 🔥"


def test_what_turns_the_direction_of_writing_cannot_disguise_a_line() -> None:
    assert visible("exe\u202egpj") == "exe\\u202egpj"


def test_a_line_for_a_terminal_has_no_line_break() -> None:
    assert on_one_line("a\nb\tc") == "a\\nb\\tc"


def test_a_severity_is_known_in_any_case() -> None:
    assert severity_of("WARNING").is_grave
    assert not severity_of("info").is_grave
