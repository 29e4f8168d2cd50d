"""You know where anything is before you look: what a file does is told by its name."""

import ast
import re

from tests.architecture.sources import HUB, everything, features, functions, hub, imports, none_of

HOMES_OF_CALLS = {
    "Table": ("store.py",),
    "Router": ("api.py", "pages.py", "actions.py"),  # actions.py: what the forms on the pages do
    "Typer": ("cli.py",),
    "Feature": ("__init__.py",),
}
NAMELESS_FILES = {
    "utils.py",
    "helpers.py",
    "common.py",
    "misc.py",
    "models.py",
    "schemas.py",
    "views.py",
    "routes.py",
    "tables.py",
}
EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "handler", "handlers", "data", "info", "process"}
HOOKS_OF_LIBRARIES = {
    *("process_bind_param", "process_result_value", "data_received"),
    "get_route_handler",  # FastAPI
    *("read_byte_data", "write_byte_data", "read_i2c_block_data"),  # smbus2
}
WORDS_OF_USERS = {"data_folder", "sensor_data"}  # the second is JunctionRelay's SensorData
SYNCHRONOUS = ("model.py", "service.py", "store.py", "jobs.py", "events.py")
WEB_FRAMEWORKS = ("fastapi", "starlette")
EDGES = ("api.py", "pages.py", "actions.py", "live.py", "access.py")  # access.py: who a request comes from


def test_tables_routes_and_commands_live_in_the_file_of_that_name() -> None:
    wrong = [
        f"{source.at(node)} makes a {called}, which belongs in {' or '.join(HOMES_OF_CALLS[called])}"
        for source in features()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and (called := _called(node)) in HOMES_OF_CALLS
        and source.name not in HOMES_OF_CALLS[called]
    ]
    none_of(wrong, "A feature folder has the same file names everywhere:")


def test_no_file_has_a_name_that_says_nothing() -> None:
    none_of([s.place for s in features() if s.name in NAMELESS_FILES], "Name the subject, not the kind of file:")


def test_no_file_is_empty() -> None:
    none_of([s.place for s in everything() if not s.text.strip()], "A file without content is no file; remove it:")


def test_names_are_words_of_the_domain() -> None:
    wrong = [
        f"{source.at(node)} {node.name}"
        for source in everything()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name not in HOOKS_OF_LIBRARIES | WORDS_OF_USERS
        and EMPTY_WORDS & set(_words(node.name))
    ]
    none_of(wrong, f"Say what it is; these words say nothing: {', '.join(sorted(EMPTY_WORDS))}.")


def test_only_the_edges_know_the_web_framework() -> None:
    wrong = [
        f"{source.at(node)} imports {module}"
        for source in features()
        for node, module in imports(source)
        if module.split(".")[0] in WEB_FRAMEWORKS and source.name not in EDGES and source.feature != "dialects"
    ]
    none_of(sorted(set(wrong)), f"Only the kernel, dialects, {', '.join(EDGES)} import a web framework:")


def test_domain_code_is_synchronous() -> None:
    wrong = [
        f"{source.at(function)} async def {function.name}"
        for source in features()
        if source.name in SYNCHRONOUS
        for function in functions(source)
        if isinstance(function, ast.AsyncFunctionDef)
    ]
    none_of(wrong, "Domain code is plain functions (tx, …, now); only edges that hold connections are async:")


def test_from_another_feature_only_its_front_is_imported() -> None:
    wrong = [
        f"{source.at(node)} imports {module}"
        for source in features()
        for node, module in imports(source)
        if _feature_of(module) not in (None, "kernel", "web", source.feature)
        and _is_inside(module)
        and not _is_given(node, module)
    ]
    none_of(sorted(set(wrong)), "From another feature import only names that its __init__ gives:")


def _is_inside(module: str) -> bool:
    """Whether it names a module inside a feature, rather than a name that the feature's __init__ gives."""
    words = module.split(".")
    return len(words) > 2 and f"{HUB}{'/'.join(words[1:])}.py" in {source.place for source in hub()}


def _is_given(node: ast.stmt, module: str) -> bool:
    """`from waystation.devices import renewal`, where the feature's `__all__` gives the whole module as a name."""
    front, _, name = module.rpartition(".")
    place = f"{HUB}{'/'.join(front.split('.')[1:])}/__init__.py"
    asked_of_front = isinstance(node, ast.ImportFrom) and node.module == front
    return asked_of_front and any(f'"{name}",' in source.text for source in hub() if source.place == place)


def _feature_of(module: str) -> str | None:
    words = module.split(".")
    return words[1] if words[0] == "waystation" and len(words) > 1 else None


def _called(call: ast.Call) -> str:
    return (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else call.func.id
        if isinstance(call.func, ast.Name)
        else ""
    )


def _words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")
