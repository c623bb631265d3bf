"""`tutor avatar`: faces made of photos and clips."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Key, Url
from cli.surroundings import api_key, settings_in_force
from cli.telling import told

avatar = typer.Typer(help="Make faces of photos and clips.", no_args_is_help=True)


@avatar.command("add")
def add_avatar(
    name: Annotated[str, typer.Argument(help="What the face is to be called.")],
    file: Annotated[Path, typer.Argument(help="A photo, or a clip of up to 20 s, of one person.")],
    box: Annotated[
        str,
        typer.Option(
            help="Where the face is in the first frame, jaw to jaw and brows to chin: "
            "left,top,right,bottom, each from 0 to 1.",
            show_default="it is looked for",
        ),
    ] = "",
    shift: Annotated[int, typer.Option(help="For v1 weights: pixels; + opens the mouth.")] = 0,
    url: Url = None,
    key: Key = None,
) -> None:
    """Have a face made of a photo or a clip, and wait until it is ready."""
    with told():
        from cli.upload import AvatarClient, add

        settings = settings_in_force()
        with AvatarClient(url or settings.http_url, api_key(settings, key)) as client:
            add(client, name, file, box=box, shift=shift)


@avatar.command("list")
def list_avatars(url: Url = None, key: Key = None) -> None:
    """Show the faces there are, and those in the making."""
    with told():
        from cli.upload import AvatarClient, show

        settings = settings_in_force()
        with AvatarClient(url or settings.http_url, api_key(settings, key)) as client:
            show(client.avatars())


@avatar.command("remove")
def remove_avatar(
    name: Annotated[str, typer.Argument(help="The face's name.")],
    url: Url = None,
    key: Key = None,
) -> None:
    """Delete a face, also one that is in the making."""
    with told():
        from cli.upload import AvatarClient, remove

        settings = settings_in_force()
        with AvatarClient(url or settings.http_url, api_key(settings, key)) as client:
            remove(client, name)
