"""
Write the pages of the documentation that follow from the program: C{reference.md} and C{commands.md}.

Run as C{python docs/make_reference.py} in the clone; a test holds them to what it would write.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from ccrelay.cli.outline import outlines  # noqa: E402
from ccrelay.config.catalogue import catalogue  # noqa: E402

_REFERENCE = """\
# Reference of the configuration

Every key, from the schema that configurations are judged by. `[]` stands for each entry of a list. They are
explained in [configuration](configuration.md) and [routing](routing.md); `ccrelay schema` prints the schema
itself, for editors.
"""
_COMMANDS = """\
# Commands

Every command, as `ccrelay COMMAND --help` has it.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def reference() -> str:
    """Return the page of the configuration's keys."""
    lines = [_REFERENCE]
    for entry in catalogue():
        if not entry.kind or entry.kind == "a list":
            lines += ["", f"## `{entry.path}`", "", entry.says, ""]
            lines += ["| key | holds | default | what |", "|---|---|---|---|"]
            continue
        name = entry.path.rpartition(".")[2]
        default = f"`{_cell(entry.default)}`" if entry.default else "required" if entry.required else ""
        lines.append(f"| `{name}` | {_cell(entry.kind)} | {default} | {_cell(entry.says)} |")
    return _tidy(lines)


def commands() -> str:
    """Return the page of the commands."""
    lines = [_COMMANDS]
    for outline in outlines():
        lines += ["", f"## `ccrelay {outline.name}`", ""]
        for each in (outline, *outline.actions):
            lines += [f"{each.says[:1].upper()}{each.says[1:].rstrip('.')}.", ""]
            lines += ["```text", each.usage, "```", ""]
            if each.arguments:
                lines += ["| argument | what |", "|---|---|"]
            for argument in each.arguments:
                name = f"{', '.join(argument.flags)} {argument.value}".strip()
                lines.append(f"| `{_cell(name)}` | {_cell(argument.says)} |")
            lines.append("")
    return _tidy(lines)


def _tidy(lines: list[str]) -> str:
    """Return lines as a page, without a second blank line, or a head of a table that has no rows."""
    kept: list[str] = []
    for line in "\n".join(lines).split("\n"):
        if line or (kept and kept[-1]):
            kept.append(line)
    page = "\n".join(kept).rstrip("\n") + "\n"
    return page.replace("| key | holds | default | what |\n|---|---|---|---|\n\n", "")


if __name__ == "__main__":
    (HERE / "reference.md").write_text(reference(), "utf-8")
    (HERE / "commands.md").write_text(commands(), "utf-8")
