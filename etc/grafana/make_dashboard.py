"""Writes ccrelay.json, the dashboard for Grafana, which is then imported as it is."""

import json
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 8, 8
SELECT = 'job=~"$job", instance=~"$instance"'
OF = f'{SELECT}, provider=~"$provider"'
SECONDS, SHARE, DOLLARS, SHORT, BYTES = "s", "percentunit", "currencyUSD", "short", "bytes"
SOURCE = {"type": "prometheus", "uid": "${source}"}


def rate(metric: str, by: str, select: str = OF) -> str:
    """Return the rate of a counter, by some labels."""
    return f"sum by ({by}) (rate({metric}{{{select}}}[$__rate_interval]))"


def quantile(part: float, metric: str, by: str, select: str = OF) -> str:
    """Return a quantile of a histogram, by some labels."""
    return f"histogram_quantile({part}, {rate(metric + '_bucket', by + ', le' if by else 'le', select)})"


def panel(kind: str, title: str, unit: str, *queries: tuple[str, str], **more: Any) -> dict[str, Any]:
    """Return a panel; each query comes with the legend of what it draws."""
    targets = [
        {"refId": chr(ord("A") + n), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
        for n, (expr, legend) in enumerate(queries)
    ]
    defaults = {"unit": unit, **more.pop("defaults", {})}
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        **more,
    }


def series(title: str, unit: str, *queries: tuple[str, str], stacked: bool = False) -> dict[str, Any]:
    """Return a panel of lines over time."""
    custom = {"fillOpacity": 20 if stacked else 5, "stacking": {"mode": "normal" if stacked else "none"}}
    return panel("timeseries", title, unit, *queries, defaults={"custom": custom})


def number(title: str, unit: str, query: str, *steps: tuple[float | None, str]) -> dict[str, Any]:
    """Return a panel of one number, coloured from each step on."""
    thresholds = {"mode": "absolute", "steps": [{"value": at, "color": colour} for at, colour in steps]}
    return panel("stat", title, unit, (query, "{{instance}}"), defaults={"thresholds": thresholds})


GOOD_BELOW = ((None, "green"), (0.01, "orange"), (0.05, "red"))
ROWS: dict[str, list[dict[str, Any]]] = {
    "At a glance": [
        number("Ready", SHORT, f"ccrelay_ready{{{SELECT}}}", (None, "red"), (1, "green")),
        number("Failed, of all requests", SHARE, f"ccrelay:failed:share5m{{{SELECT}}}", *GOOD_BELOW),
        number("In flight", SHORT, f"ccrelay_requests_in_flight{{{SELECT}}}", (None, "blue")),
        number(
            "Cost of an hour", DOLLARS, f"sum by (instance) (ccrelay:cost_usd:rate1h{{{OF}}})", (None, "blue")
        ),
        number(
            "Changes that are not in the file",
            SHORT,
            f"ccrelay_changes{{{SELECT}}}",
            (None, "green"),
            (1, "orange"),
        ),
        number(
            "Last reload taken over",
            SHORT,
            f"ccrelay_config_reload_ok{{{SELECT}}}",
            (None, "red"),
            (1, "green"),
        ),
    ],
    "Requests": [
        series(
            "Requests by status", "reqps", (rate("ccrelay_requests_total", "code"), "{{code}}"), stacked=True
        ),
        series(
            "Requests by model", "reqps", (rate("ccrelay_requests_total", "model"), "{{model}}"), stacked=True
        ),
        series(
            "How long requests take",
            SECONDS,
            (quantile(0.5, "ccrelay_request_duration_seconds", "provider"), "{{provider}}, half"),
            (quantile(0.95, "ccrelay_request_duration_seconds", "provider"), "{{provider}}, 19 of 20"),
        ),
        series(
            "Time to first byte",
            SECONDS,
            (quantile(0.5, "ccrelay_time_to_first_byte_seconds", "provider"), "{{provider}}, half"),
            (quantile(0.95, "ccrelay_time_to_first_byte_seconds", "provider"), "{{provider}}, 19 of 20"),
            (quantile(0.99, "ccrelay_time_to_first_byte_seconds", "provider"), "{{provider}}, 99 of 100"),
        ),
        series(
            "The relay's own share of it",
            SECONDS,
            (quantile(0.5, "ccrelay_own_time_seconds", "instance", SELECT), "{{instance}}, half"),
            (quantile(0.95, "ccrelay_own_time_seconds", "instance", SELECT), "{{instance}}, 19 of 20"),
        ),
        series(
            "Lag of the event loop",
            SECONDS,
            (quantile(0.5, "ccrelay_event_loop_lag_seconds", "instance", SELECT), "{{instance}}, half"),
            (quantile(0.99, "ccrelay_event_loop_lag_seconds", "instance", SELECT), "{{instance}}, 99 of 100"),
        ),
    ],
    "Providers": [
        series("Ready", SHORT, (f"ccrelay_provider_ready{{{OF}}}", "{{provider}}")),
        panel(
            "state-timeline",
            "Circuits that are not closed",
            SHORT,
            (f'sum by (provider) (ccrelay_breaker_state{{{OF}, state!="closed"}})', "{{provider}}"),
            (f"ccrelay_model_breakers_open{{{OF}}}", "{{provider}}, models"),
        ),
        series(
            "Attempts by outcome",
            "reqps",
            (rate("ccrelay_attempts_total", "provider, outcome"), "{{provider}} {{outcome}}"),
        ),
        series(
            "Failovers",
            "reqps",
            (rate("ccrelay_failovers_total", "provider, reason"), "from {{provider}}: {{reason}}"),
        ),
        series(
            "Attempts in flight", SHORT, (f"ccrelay_attempts_in_flight{{{OF}}}", "{{provider}}"), stacked=True
        ),
        series(
            "Probes", "reqps", (rate("ccrelay_probes_total", "provider, result"), "{{provider}} {{result}}")
        ),
        series("How long probes take", SECONDS, (f"ccrelay_probe_duration_seconds{{{OF}}}", "{{provider}}")),
        series(
            "Until fetched credentials expire",
            SECONDS,
            (f"ccrelay_credential_expiry_timestamp_seconds{{{OF}}} - time()", "{{provider}}"),
        ),
        series("Repeats left", SHORT, (f"ccrelay_retry_budget_left{{{SELECT}}}", "{{instance}}")),
    ],
    "Keys": [
        panel(
            "bargauge",
            "What is left of each key's limit",
            SHARE,
            (f"ccrelay_key_headroom_ratio{{{OF}}}", "{{provider}} {{key}}"),
        ),
        series("Keys in use", SHORT, (f"sum by (provider) (ccrelay_key_usable{{{OF}}})", "{{provider}}")),
        series(
            "Used in the last minute",
            SHORT,
            (f"ccrelay_key_used{{{OF}}}", "{{provider}} {{key}} {{kind}}"),
            (f"ccrelay_key_limit{{{OF}}}", "{{provider}} {{key}} {{kind}}, limit"),
        ),
        series(
            "Left",
            SHORT,
            (f"ccrelay_key_remaining{{{OF}}}", "{{provider}} {{key}} {{kind}}"),
            (f"ccrelay_key_told_remaining{{{OF}}}", "{{provider}} {{key}} {{kind}}, as told"),
        ),
    ],
    "Tokens and money": [
        series("Tokens", SHORT, (rate("ccrelay_tokens_total", "kind"), "{{kind}}"), stacked=True),
        series(
            "Read from the prompt cache",
            SHARE,
            (f"ccrelay:cache_read:share1h{{{OF}}}", "{{provider}}"),
            (f"ccrelay_cache_read_share{{{OF}}}", "{{provider}}, since the start"),
        ),
        series(
            "Cost of an hour by model",
            DOLLARS,
            (rate("ccrelay_cost_usd_total", "model") + " * 3600", "{{model}}"),
            stacked=True,
        ),
        series(
            "Cost of an hour by provider",
            DOLLARS,
            (rate("ccrelay_cost_usd_total", "provider") + " * 3600", "{{provider}}"),
            stacked=True,
        ),
        series(
            "Cost of an hour by client",
            DOLLARS,
            (rate("ccrelay_client_cost_usd_total", "client", SELECT) + " * 3600", "{{client}}"),
            stacked=True,
        ),
        series(
            "Tokens by client",
            SHORT,
            (rate("ccrelay_client_tokens_total", "client", SELECT), "{{client}}"),
            stacked=True,
        ),
        series(
            "Requests without a price",
            "reqps",
            (rate("ccrelay_unpriced_requests_total", "provider"), "{{provider}}"),
        ),
    ],
    "Conversations and what is changed on the way": [
        series("Conversations", SHORT, (f"ccrelay_affinity_conversations{{{SELECT}}}", "{{instance}}")),
        series("Moves", "reqps", (rate("ccrelay_affinity_moves_total", "kind", SELECT), "{{kind}}")),
        series(
            "Sent without",
            "reqps",
            (rate("ccrelay_dropped_total", "provider, name"), "{{provider}}: {{name}}"),
        ),
        series(
            "Put right after a refusal",
            "reqps",
            (rate("ccrelay_mended_total", "provider, how"), "{{provider}}: {{how}}"),
        ),
    ],
    "The process": [
        series(
            "CPU", SHARE, (f"rate(process_cpu_seconds_total{{{SELECT}}}[$__rate_interval])", "{{instance}}")
        ),
        series("Memory", BYTES, (f"process_resident_memory_bytes{{{SELECT}}}", "{{instance}}")),
        series(
            "File descriptors",
            SHORT,
            (f"process_open_fds{{{SELECT}}}", "{{instance}}"),
            (f"process_max_fds{{{SELECT}}}", "{{instance}}, limit"),
        ),
        series(
            "Reloads",
            SHORT,
            (f"increase(ccrelay_reloads_total{{{SELECT}}}[$__rate_interval])", "{{instance}} {{result}}"),
            (
                f"time() - ccrelay_config_loaded_timestamp_seconds{{{SELECT}}}",
                "{{instance}}, seconds since the last",
            ),
        ),
        panel(
            "table",
            "Versions",
            SHORT,
            (f"ccrelay_build_info{{{SELECT}}}", "{{instance}} {{version}} {{python}}"),
        ),
    ],
}


def placed() -> list[dict[str, Any]]:
    """Return all panels with their places, under a heading for each row."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}})  # fmt: skip
        top += 1
        small = row[0]["type"] == "stat"
        width, height = (4, 4) if small else (WIDTH, HEIGHT)
        across = 24 // width
        for place, one in enumerate(row):
            x, y = place % across * width, top + place // across * height
            panels.append(one | {"gridPos": {"x": x, "y": y, "w": width, "h": height}})
        top += -(-len(row) // across) * height
    return [one | {"id": number} for number, one in enumerate(panels, 1)]


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """Return a choice that panels are narrowed by."""
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2,
        "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "ccrelay",
        "title": "ccrelay",
        "description": "Requests, providers, keys, tokens and money of ccrelay.",
        "tags": ["ccrelay"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                source,
                variable("job", "Job", "label_values(ccrelay_build_info, job)"),
                variable("instance", "Instance", 'label_values(ccrelay_build_info{job=~"$job"}, instance)'),
                variable(
                    "provider", "Provider", f"label_values(ccrelay_provider_ready{{{SELECT}}}, provider)"
                ),
            ]
        },
        "panels": placed(),
    }


def text() -> str:
    """Return it as it is written."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("ccrelay.json").write_text(text())
