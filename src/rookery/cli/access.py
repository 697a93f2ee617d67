"""env, keys, reset: the account's side."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from rookery.cli.options import AsJson, Name
from rookery.cli.output import print_json
from rookery.region.layout import DEFAULT_ACCOUNT

Account = Annotated[str, typer.Option("--account", metavar="ID", help="Twelve digits.")]


def register(app: typer.Typer) -> None:
    keys = typer.Typer(help="The access keys that the API takes.", no_args_is_help=True)
    keys.command("add")(add_key)
    app.command()(env)
    app.add_typer(keys, name="keys")
    app.command()(reset)


def env(name: Name = "dev", as_json: AsJson = False) -> None:
    """Print what a shell needs to reach the region: eval "$(rookery env)"."""
    from rookery.region.access import client_environment  # noqa: PLC0415

    variables = client_environment(name)
    if as_json:
        print_json(variables)
        return
    for key, value in variables.items():
        print(f"export {key}={shlex.quote(value)}")


def add_key(
    access: Annotated[
        str, typer.Argument(help="The access key id: any, 1 to 128 letters, digits, - or _.")
    ],
    secret: Annotated[str, typer.Argument(help="The secret access key: any.")],
    account: Account = DEFAULT_ACCOUNT,
    name: Name = "dev",
) -> None:
    """Let requests signed with this pair act for the account."""
    from rookery.region.access import register_key  # noqa: PLC0415

    register_key(name, access, secret, account)
    print(f"{access} now signs for the account {account}.")


def reset(name: Name = "dev", account: Account = DEFAULT_ACCOUNT) -> None:
    """Take an account back to a default VPC in every AWS region it has used, and nothing else. Its instances end."""
    from rookery.region.access import reset_account  # noqa: PLC0415

    regions = reset_account(name, account)
    where = f"a new default VPC in {', '.join(regions)}, and nothing else" if regions else "never been used"
    print(f"The account {account} has {where}.")
