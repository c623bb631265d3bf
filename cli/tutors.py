"""`tutor tutors`: who the tutors are, and how they come and go while the engine runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from cli.errors import WrongUsage
from cli.screen import out, say, state, table
from cli.surroundings import settings_in_force
from cli.telling import told

if TYPE_CHECKING:
    from cli.roster import Place, Row

DEFAULT_WAIT_S = 120.0

tutors = typer.Typer(
    help="List, add and remove tutors. The engine that runs takes over each change without a "
    "restart: no conversation is cut.",
    no_args_is_help=True,
)

Config = Annotated[
    Path | None,
    typer.Option(
        help="The graph whose tutors' file is meant.",
        show_default="that of the engine that runs, or configs/serve.yaml",
    ),
]
NoDeploy = Annotated[
    bool, typer.Option("--no-deploy", help="Only write the file; deploy it another time.")
]
Wait = Annotated[float, typer.Option(help="Seconds to wait for a new model's application.", min=1)]
Id = Annotated[int, typer.Argument(help="The tutor's id.", min=0)]


@tutors.command("list")
def list_tutors(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: Config = None,
) -> None:
    """Show the tutors, their language models and how those are."""
    with told():
        from cli import roster
        from cli.status import show_json

        where = roster.place(settings_in_force(), config)
        found = roster.rows(where)
        if as_json:
            show_json(roster.as_json(where, found))
        else:
            _show(where, found)


def _show(where: "Place", found: "list[Row]") -> None:
    shown = table("id", "name", "language", "model", "application", "state", "voice", "face")
    for row in found:
        cells: list[Any] = [
            "any" if row.id is None else str(row.id),
            Text(row.name),
            row.language or "",
            Text(row.model),
            row.application,
            _state(row),
            Text(row.voice),
            f"{row.face} (missing)" if row.face_is_missing else row.face,
        ]
        shown.add_row(*cells)
    out.print(shown)
    out.print()
    say(f"File: {where.file}", "dim")
    if any(row.state == "NOT DEPLOYED" for row in found):
        say("NOT DEPLOYED: the default model answers meanwhile. Deploy it with", "yellow")
        say("  tutor tutors deploy", "yellow")
    _tell_other(where)


def _state(row: "Row") -> Text:
    """Serve's word, and how many replicas answer."""
    if row.state is None:
        return Text()
    running = row.replicas.get("RUNNING", 0)
    counted = f" {running}" if row.state != "NOT DEPLOYED" else ""
    return state(row.state).append(counted)


@tutors.command()
def add(  # noqa: PLR0913 - typer makes an option of each argument
    tutor_id: Id,
    name: Annotated[str, typer.Option(help="How the tutor calls itself.")],
    language: Annotated[
        str | None,
        typer.Option(help="What students speak: en, zh …", show_default="as it is heard"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Language model, such as qwen2.5:7b.", show_default="DEFAULT_LLM_MODEL"),
    ] = None,
    voice: Annotated[
        str | None, typer.Option(help="A voice of the engine, or a cloned one.")
    ] = None,
    voice_language: Annotated[
        str | None,
        typer.Option(help="What the voice speaks.", show_default="sentence by sentence"),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="How fast it speaks.", min=0.5, max=2)] = None,
    pitch: Annotated[float | None, typer.Option(help="How high it is.", min=0.5, max=2)] = None,
    face: Annotated[
        str | None,
        typer.Option(help="mei, anna, david, or a prepared one.", show_default="by turns"),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="What the model is told first; {name} is replaced."),
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The same, from a file.")
    ] = None,
    kb: Annotated[str | None, typer.Option(help="Knowledge base, see `tutor kb list`.")] = None,
    outside: Annotated[
        Literal["say_so", "general"] | None,
        typer.Option(
            help="A question that the course does not answer: say_so, or general, which answers "
            "from general knowledge and says so.",
            show_default="say_so",
        ),
    ] = None,
    llm_engine: Annotated[
        str | None,
        typer.Option(help="Which engine runs the model: auto, openai, ollama, transformers."),
    ] = None,
    min_replicas: Annotated[
        int | None, typer.Option(help="Of the model; 0: none while nobody asks.", min=0)
    ] = None,
    max_replicas: Annotated[int | None, typer.Option(help="Of the model.", min=1)] = None,
    gpu: Annotated[
        float | None, typer.Option(help="Fraction of a GPU for each replica.", min=0, max=1)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also when the id is taken.")] = False,
    no_deploy: NoDeploy = False,
    wait: Wait = DEFAULT_WAIT_S,
    config: Config = None,
) -> None:
    """Add a tutor to the file, and deploy its language model if the engine runs.

    If the model cannot be deployed, the tutor stays in the file and is answered for by the default
    model.
    """
    with told():
        from cli import roster

        if prompt is not None and prompt_file is not None:
            raise WrongUsage("Give --prompt or --prompt-file, not both.")
        if prompt_file is not None:
            prompt = prompt_file.read_text("utf-8").strip()
        spoken = {"name": voice, "rate": rate, "pitch": pitch, "language": voice_language}
        entry = _given(
            name=name,
            language=language,
            model=model,
            voice=_given(**spoken) or None,
            face=face,
            kb=kb,
            outside=outside,
            prompt=prompt,
        )
        run_as = _given(
            engine=llm_engine, gpu=gpu, min_replicas=min_replicas, max_replicas=max_replicas
        )
        if run_as and model is None:
            raise WrongUsage("Say with --model how which language model is to run.")
        with _changing(config) as where:
            roster.add(where, roster.NewTutor(tutor_id, entry, run_as, replace))
            say(f"Tutor {tutor_id}, {name}, is in {where.file}.")
            _tell_overridden(where, tutor_id, model)
            _deploy(where, no_deploy=no_deploy, wait_s=wait)


@tutors.command()
def remove(
    tutor_id: Id, no_deploy: NoDeploy = False, wait: Wait = DEFAULT_WAIT_S, config: Config = None
) -> None:
    """Remove a tutor from the file, and its language model if no other tutor uses it.

    One of the stand-ins answers its students from then on.
    """
    with told():
        from cli import roster

        with _changing(config) as where:
            name = roster.remove(where, tutor_id)
            say(f"Tutor {tutor_id}, {name}, is no longer in {where.file}.")
            _deploy(where, no_deploy=no_deploy, wait_s=wait)


@tutors.command()
def deploy(wait: Wait = DEFAULT_WAIT_S) -> None:
    """Deploy the language models that the file asks for, after it was changed by hand."""
    with told(), _changing(None) as where:
        if where.record is None:
            raise WrongUsage("No engine of `tutor up` runs here.", "`tutor up` deploys the file.")
        where.tutors()
        _deploy(where, no_deploy=False, wait_s=wait)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@contextmanager
def _changing(config: Path | None) -> "Iterator[Place]":
    """No other command changes the file or the engine meanwhile."""
    from cli import roster
    from cli.engine import Engine

    settings = settings_in_force()
    with Engine(settings).files.locked():
        yield roster.place(settings, config)


def _deploy(where: "Place", *, no_deploy: bool, wait_s: float) -> None:
    if where.record is None:
        say("No engine reads this file now; `tutor up` deploys it.", "dim")
        _tell_other(where)
        return
    if no_deploy:
        say("The engine that runs reads the file within a second. A new model's application", "dim")
        say("is started by `tutor tutors deploy`; until then the default model answers.", "dim")
        return
    from cli.redeploy import Redeployment

    change = Redeployment(where.engine, where.record, where.tutors()).run(out, wait_s)
    for name in change.added:
        say(f"{name} is running.", "green")
    for name in change.removed:
        say(f"{name} has ended: no tutor uses it any more.")
    if not change.added and not change.removed:
        say("No application had to be started or ended.")
    if change.left:
        names = ", ".join(change.left)
        say(f"The graph has changed in {names} too: that needs `tutor restart`.", "yellow")
    say("The engine has the change; no conversation was cut.", "bold green")


def _tell_overridden(where: "Place", tutor_id: int, model: str | None) -> None:
    given = where.settings.tutor_llm_models.get(tutor_id)
    if given is not None and given != model:
        say(f"TUTOR_{tutor_id}_LLM_MODEL is set, and goes first: its model is {given}.", "yellow")


def _tell_other(where: "Place") -> None:
    if where.other:
        say(f"The engine that runs was started with {where.other}: it is left alone.", "yellow")
