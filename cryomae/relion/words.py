"""What RELION writes on the command line of an External job."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import typer

from cryomae.errors import InputError

INPUTS = ("in_movies", "in_mics", "in_parts", "in_coords", "in_3dref", "in_mask")
"""Labels of the Input tab, as RELION writes them."""

_YES, _NO = {"", "yes", "true", "1", "on"}, {"no", "false", "0", "off"}


@dataclass(frozen=True)
class Request:
    """What an External job is asked to do.

    Attributes
    ----------
    folder : str
        Job folder, such as ``External/job005/``, seen from the project folder.
    inputs : dict of str to str
        Files of the Input tab, by label.
    threads : int or None
        Number of threads on the Running tab.
    values : dict of str to Any
        Every parameter by its name, with its default where it was not given.
    """

    folder: str
    inputs: dict[str, str] = field(default_factory=dict)
    threads: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


class Parameters:
    """Parameters of a job: the options of a command of cryomae, by the same names.

    Parameters
    ----------
    function : callable
        The command, with typer's annotations.
    without : sequence of str
        Parameters that RELION gives by other means, or that make no sense in a job.
    """

    def __init__(self, function: Callable[..., None], without: Sequence[str]) -> None:
        app = typer.Typer(add_completion=False)
        app.command()(function)
        self._command = typer.main.get_command(app)
        self._options: dict[str, Any] = {
            str(p.name): p for p in self._command.params if p.name not in without
        }

    @property
    def names(self) -> list[str]:
        """Names, as they are typed into the Params tab."""
        return list(self._options)

    def describe(self) -> str:
        """One paragraph a parameter."""
        return "\n".join(f"  {name:14s}{p.help}" for name, p in self._options.items())

    def read(self, given: dict[str, str], more: Sequence[str]) -> dict[str, Any]:
        """Values of all parameters, checked as the command itself checks them.

        Parameters
        ----------
        given : dict of str to str
            Values as written; an empty one switches a flag on, and leaves others at their default.
        more : sequence of str
            What the command needs besides, as on its own command line.

        Raises
        ------
        InputError
            If a label is unknown or a value makes no sense.
        """
        words: list[str] = []
        for label, value in given.items():
            name = self._settle(label)
            option = self._options.get(name)
            if option is None:
                raise self._unknown(label)
            if not getattr(option, "is_flag", False):
                words += [option.opts[0], value] if value else []
            elif value.lower() in _YES:
                words.append((option.secondary_opts if name != label else option.opts)[0])
            elif value.lower() in _NO:
                words += option.secondary_opts if name == label else option.opts
            else:
                raise InputError(f"the value of {label} is '{value}'", "give Yes or No")
        try:
            context = self._command.make_context("", [*words, *more])
        except Exception as error:  # click's error, or that of its copy inside typer
            explain = getattr(error, "format_message", None)
            if explain is None:
                raise
            raise InputError(str(explain()), "correct it on the Params tab") from error
        return {name: context.params[name] for name in self._options}

    def _settle(self, label: str) -> str:
        """Name of a parameter; ``no_preview`` is ``preview`` turned round."""
        name = label.removeprefix("no_")
        turned = name != label and getattr(self._options.get(name), "secondary_opts", None)
        return name if turned else label

    def _unknown(self, label: str) -> InputError:
        close = difflib.get_close_matches(label, self.names, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        return InputError(
            f"there is no parameter '{label}'", f"{hint}Known are: {', '.join(self.names)}"
        )


def split_labels(words: Sequence[str]) -> dict[str, str]:
    """Label and value of ``--label value --bare …``; of a label given twice the last counts.

    Dashes and underscores inside a label mean the same, and so do two dashes before it or
    more, which come from a label typed with its own.

    Raises
    ------
    InputError
        If a word belongs to no label.
    """
    found: dict[str, str] = {}
    label = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.lstrip("-").partition("=")
            label = name.strip().replace("-", "_")
            found[label] = value
            if equals:
                label = ""
        elif label and not found[label]:
            found[label] = word
        else:
            before = f" after {label} {found[label]}" if label else ""
            raise InputError(
                f"'{word}'{before} belongs to no label", "a value must not contain spaces"
            )
    return found


def folder_of(words: Sequence[str]) -> str | None:
    """Job folder, also from words that are wrong otherwise: a failure must be marked in it."""
    for option, value in zip(words, [*words[1:], ""], strict=True):
        name, _, behind = option.partition("=")
        if name == "--o":
            return behind or (value if value and not value.startswith("--") else None)
    return None


def read_request(
    words: Sequence[str], parameters: Parameters, more: Callable[[dict[str, str]], Sequence[str]]
) -> Request:
    """Take the words of RELION apart.

    Parameters
    ----------
    words : sequence of str
        Command line without the name of the program.
    parameters : Parameters
        Those of the job.
    more : callable
        ``more(inputs)`` gives what the command behind the parameters needs besides them.
    """
    given = split_labels(words)
    folder = given.pop("o", "")
    given.pop("pipeline_control", None)
    inputs = {name: given.pop(name) for name in INPUTS if name in given}
    inputs = {name: value for name, value in inputs.items() if value}
    threads = given.pop("j", "")
    if threads and not (threads.isdigit() and int(threads) > 0):
        raise InputError(f"--j is '{threads}'", "give a number of threads")
    values = parameters.read(given, more(inputs))
    return Request(folder, inputs, int(threads) if threads else None, values)
