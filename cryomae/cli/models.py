"""The command ``cryomae models``."""

from __future__ import annotations


def models() -> None:
    """List the models that come with cryomae, and how well they do.

    For example:
      cryomae models
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cryomae.model import list_models, model_card

    console = Console(highlight=False)
    for name in list_models():
        card = model_card(name)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("parameters", f"{card.parameters:,}")
        table.add_row("trained on", escape(str(card.data)))
        table.add_row("recipe", escape(str(card.recipe)))
        for what, value in card.measured.items():
            table.add_row("measured", escape(f"{what}: {value}"))
        table.add_row("licence", escape(str(card.licence)))
        table.add_row("sha256", str(card.sha256))
        console.print(f"[bold]{escape(name)}[/]  {escape(str(card.description))}")
        console.print(table)
        console.print()
