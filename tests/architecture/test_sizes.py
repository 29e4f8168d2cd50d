"""Nothing grows so long that nobody reads it to the end."""

import ast

from tests.architecture.sources import Source, everything, functions, none_of

LONGEST_FUNCTION_LINES = 60
LONGEST_FILE_LINES = 500
MOST_POSITIONAL = 4


def test_no_function_is_longer_than_a_screen() -> None:
    none_of(
        [
            f"{source.at(function)} {function.name}: {lines} lines"
            for source in everything()
            for function in functions(source)
            if (lines := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION_LINES
        ],
        f"A function has at most {LONGEST_FUNCTION_LINES} lines; give its steps names of their own:",
    )


def test_no_file_is_longer_than_a_sitting() -> None:
    none_of(
        [f"{s.place}: {n} lines" for s in everything() if (n := s.text.count("\n")) > LONGEST_FILE_LINES],
        f"A file has at most {LONGEST_FILE_LINES} lines; find the second subject in it:",
    )


def test_a_call_can_be_read_without_counting_its_arguments() -> None:
    wrong: list[str] = []
    for source in everything():
        for function in functions(source):
            positional = [
                a.arg for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in ("self", "cls")
            ]
            if len(positional) > MOST_POSITIONAL and not _is_called_by_name(source, function):
                wrong.append(f"{source.at(function)} {function.name}({', '.join(positional)})")
    none_of(wrong, f"At most {MOST_POSITIONAL} positional parameters; the rest are keyword-only, after a `*`:")


def _is_called_by_name(source: Source, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A command or a route is called by its framework, by keywords; its signature is a list of types."""
    words = {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in function.decorator_list}
    return source.name == "cli.py" or bool(words & {"get", "post", "put", "patch", "delete", "head", "served"})


def test_every_module_says_its_job_in_a_docstring() -> None:
    none_of(
        [s.place for s in everything() if s.text.strip() and not s.text.lstrip().startswith(('"""', "#!", 'r"""'))],
        'A module begins with """one sentence about its job""":',
    )
