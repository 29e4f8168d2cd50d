"""`waystation home …`, `waystation member …`: homes and who belongs to them, beside a running hub or without one."""

from typing import Annotated

import typer

from waystation import identity
from waystation.homes import invitations, membership, service, store
from waystation.homes.model import INVITATION_DAYS, Home, Member, Membership, Role
from waystation.identity import Caller
from waystation.kernel import mail
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Tx
from waystation.kernel.desk import AsJson, Data, Desk, desk, say, show_json, show_table
from waystation.kernel.errors import NotFound
from waystation.kernel.site import public_url

home_app = typer.Typer(name="home", help="List, make, rename and delete homes.", no_args_is_help=True)
member_app = typer.Typer(
    name="member", help="See, invite, add and remove people of a home, and give them roles.", no_args_is_help=True
)

Email = Annotated[str, typer.Argument(help="The address that the person signs in with.")]
InHome = Annotated[str, typer.Option("--home", help="The home's name or id. [default: the first]", show_default=False)]
As = Annotated[str, typer.Option("--role", help="viewer, user, admin or owner.")]


@home_app.command("list")
def home_list(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """All homes of this site."""
    with desk(context, data).database.read() as tx:
        rows = [(home.uid, home.name, store.count_members(tx, home.id)) for home in store.all_homes(tx)]
    columns = ("id", "name", "members")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows, empty="No homes yet.")


@home_app.command("create")
def home_create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    owner: Annotated[str, typer.Option("--owner", help="Who owns it: the address of an account.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a home for somebody, where the setting many_homes allows it."""
    at = desk(context, data)
    with at.database.write() as tx:
        by = Caller(COMMAND_LINE.who, person_id=_person(tx, owner))
        made = service.create(tx, by, at.now(), name=name, many=at.settings.many_homes)
    show_json({"id": made.uid, "name": made.name}) if as_json else say(f"{made.name} is made; {owner} owns it")


@home_app.command("rename")
def home_rename(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its new name.")],
    home: InHome = "",
    data: Data = None,
) -> None:
    """Give a home another name."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.rename(tx, _owner_of(at, tx, home), at.now(), name=name)
    say(f"the home is called {name} now")


@home_app.command("delete")
def home_delete(
    context: typer.Context,
    home: Annotated[str, typer.Argument(help="The home's name or id.")],
    name: Annotated[str, typer.Option("--name", help="Its name, to say that this one is meant.")],
    data: Data = None,
) -> None:
    """Delete a home with its devices and all their data, for good."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.delete(tx, _owner_of(at, tx, home), at.now(), typed_name=name, many=at.settings.many_homes)
    say(f"{name} is deleted")


@member_app.command("list")
def member_list(context: typer.Context, home: InHome = "", data: Data = None, as_json: AsJson = False) -> None:
    """Who belongs to a home, owners first."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = membership.members(tx, _home(at, tx, home).id)
    columns = ("email", "name", "role", "since")
    rows = [(one.email, one.name, one.role.word, one.created_at) for one in found]
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows, empty="Nobody belongs to this home yet.")


@member_app.command("invite")
def member_invite(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Who gets it by mail, if a mail server is set.")] = "",
    role: As = "user",
    days: Annotated[float, typer.Option(help="How long it is good.")] = INVITATION_DAYS,
    home: InHome = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a link that works once, and print it, this once: whoever opens it joins."""
    at = desk(context, data)
    with at.database.write() as tx:
        made = invitations.invite(tx, _owner_of(at, tx, home), at.now(), role=Role.of(role), email=email, days=days)
        link = f"{public_url(at.settings)}/invitations/{made.secret}"
        if made.email and mail.is_on(at.settings):
            invitations.post(tx, made, at.now(), link, inviter="Whoever looks after this site")
    show_json({"link": link, "expires_at": made.expires_at}) if as_json else say(link)


@member_app.command("add")
def member_add(
    context: typer.Context,
    email: Email,
    role: As = "user",
    home: InHome = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make somebody a member, with an account if there is none; then print the link to choose its password."""
    at = desk(context, data)
    secret = None
    with at.database.write() as tx:
        person = identity.person_by_email(tx, email.strip())
        if person is None:
            checked = identity.check_email(email)
            person_id = identity.sign_up(tx, at.now(), email=checked, password_hash="", ip=None)
            secret = identity.account.people.reset_link(tx, COMMAND_LINE, person_id, at.now())
        else:
            person_id = person.id
        made = membership.grant(tx, _owner_of(at, tx, home), person_id, Role.of(role), now=at.now())
    link = f"{public_url(at.settings)}/reset/{secret}" if secret else None
    if as_json:
        show_json({"email": made.email, "role": made.role.word, "link": link})
    else:
        say(f"{made.email} is a member now, as {made.role.word}")
        say(f"To choose a password, within a day:\n\n  {link}" if link else "They sign in as they do already.")


@member_app.command("role")
def member_role(
    context: typer.Context,
    email: Email,
    role: Annotated[str, typer.Argument(help="viewer, user, admin or owner.")],
    home: InHome = "",
    data: Data = None,
) -> None:
    """Give a member another role; it counts at once."""
    at = desk(context, data)
    with at.database.write() as tx:
        by = _owner_of(at, tx, home)
        membership.change_role(tx, by, _member(tx, by, email).person_id, Role.of(role), now=at.now())
    say(f"{email} is {role} now")


@member_app.command("remove")
def member_remove(context: typer.Context, email: Email, home: InHome = "", data: Data = None) -> None:
    """Take somebody out of a home; a running hub ends their open pages at once. Their account stays."""
    at = desk(context, data)
    with at.database.write() as tx:
        by = _owner_of(at, tx, home)
        membership.remove(tx, by, _member(tx, by, email).person_id, now=at.now())
    say(f"{email} does not belong to {by.home_name} any more")


def _home(at: Desk, tx: Tx, name: str) -> Home:
    found = [
        home for home in store.all_homes(tx) if name in (home.name, home.uid) or (not name and home.id == at.home_id)
    ]
    if not found:
        raise NotFound(f"there is no home called {name[:80]}; `waystation home list` shows them")
    if len(found) > 1:
        raise NotFound(f"several homes are called {name[:80]}; say which by its id, from `waystation home list`")
    return found[0]


def _owner_of(at: Desk, tx: Tx, name: str) -> Membership:
    """The command line, which may do in a home what its owners may."""
    home = _home(at, tx, name)
    return Membership(home.id, home.name, Role.OWNER, Caller(COMMAND_LINE.who))


def _person(tx: Tx, email: str) -> int:
    person = identity.person_by_email(tx, email.strip())
    if person is None:
        raise NotFound(f"nobody has an account with the address {email}")
    return person.id


def _member(tx: Tx, by: Membership, email: str) -> Member:
    found = store.member_by_email(tx, by.home_id, email.strip())
    if found is None:
        raise NotFound(f"{email} does not belong to {by.home_name}")
    return found
