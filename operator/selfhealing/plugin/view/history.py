"""Shows the time line of an app as lines or as a page of HTML that needs nothing else."""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from string import Template
from typing import Final

from selfhealing.plugin.view.model import AppModel, TimelineEntry, TimelineKind
from selfhealing.plugin.view.text import Line, Part, faint, format_age, format_table, line, sign

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --busy: #0969da;
  --warning: #9a6700; --failed: #cf222e; --neutral: #6e7781; }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --busy: #58a6ff;
  --warning: #d29922; --failed: #f85149; --neutral: #8b949e; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
.lane { position: relative; height: 1.6rem; border-bottom: 1px solid var(--line);
  margin-left: 7rem; }
.lane b { position: absolute; left: -7rem; font-weight: normal; color: var(--neutral); }
.lane i { position: absolute; top: .35rem; height: .9rem; min-width: .5rem; border-radius: .25rem; }
.ok { background: var(--ok); } .busy { background: var(--busy); }
.warning { background: var(--warning); } .failed { background: var(--failed); }
.neutral { background: var(--neutral); }
table { border-collapse: collapse; margin-top: 2rem; width: 100%; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
td { border-top: 1px solid var(--line); padding: .3rem .6rem; vertical-align: top;
  overflow-wrap: break-word; }
@media (max-width: 45rem) { td { display: block; border: 0; padding: 0 0 .2rem;
  overflow-wrap: anywhere; } tr { display: block; border-top: 1px solid var(--line);
  padding: .5rem 0; } }
td:first-child { white-space: nowrap; font-variant-numeric: tabular-nums; }
td span { display: inline-block; width: .6rem; height: .6rem; border-radius: 50%; }
small { color: var(--neutral); }
</style>
</head>
<body>
<h1>$title</h1>
<p>$summary</p>
$lanes
<table>
$rows
</table>
</body>
</html>
""")


def format_history(app: AppModel) -> list[Line]:
    """Return the time line as a table, the newest entry last, as a log has it."""
    if not app.timeline:
        return [line(f"nothing is known of the past of {app.key.name}")]
    rows = [
        (
            Part(f"{entry.at:%m-%d %H:%M:%S}", is_faint=True),
            faint(format_age(entry.at, app.read_at)),
            Part(str(entry.kind)),
            Part(f"{sign(entry.level).text}{_title(entry)}", entry.level),
            Part(entry.subject),
            Part(entry.detail),
        )
        for entry in reversed(app.timeline)
    ]
    heading = ("TIME (UTC)", "AGE", "KIND", "WHAT", "OBJECT", "DETAIL")
    gaps = [line(gap) for gap in app.gaps]
    return [*format_table([tuple(faint(word) for word in heading), *rows]), *gaps]


def build_history_page(app: AppModel) -> str:
    """Return the time line as a page of HTML without scripts and links."""
    message = app.status.message or ""
    return _PAGE.substitute(
        title=escape(f"{app.key}: history"),
        summary=escape(f"{app.phase}. {message} ({app.read_at:%Y-%m-%d %H:%M:%S} UTC)"),
        lanes="\n".join(_lanes(app)),
        rows="\n".join(_row(entry) for entry in app.timeline),
    )


def _title(entry: TimelineEntry) -> str:
    return f"{entry.title} ({entry.count} times)" if entry.count > 1 else entry.title


def _lanes(app: AppModel) -> Iterator[str]:
    """Yield a lane for each kind of entry, with a mark for each entry at its time."""
    first = min((entry.first_at or entry.at for entry in app.timeline), default=app.read_at)
    seconds = max((app.read_at - first).total_seconds(), 1.0)

    def place(moment: datetime) -> float:
        return min(max((moment - first).total_seconds() / seconds * 100, 0), 100)

    for kind in TimelineKind:
        marks = []
        for entry in app.timeline:
            if entry.kind is kind:
                left = place(entry.first_at or entry.at)
                width = place(entry.until or entry.at) - left
                title = escape(f"{entry.at:%H:%M:%S} {_title(entry)} {entry.subject}", quote=True)
                marks.append(
                    f'<i class="{entry.level}" title="{title}" '
                    f'style="left: {left:.2f}%; width: {max(width, 0):.2f}%"></i>'
                )
        if marks:
            yield f'<div class="lane"><b>{kind}</b>{"".join(marks)}</div>'


def _row(entry: TimelineEntry) -> str:
    until = f" to {entry.until:%H:%M:%S}" if entry.until else ""
    title = escape(_title(entry))
    cells = (
        f"{entry.at:%Y-%m-%d %H:%M:%S}{until}",
        f'<span class="{entry.level}"></span> {title}<br><small>{entry.kind}</small>',
        escape(entry.subject),
        escape(entry.detail),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
