"""What a page shows of one pipe in a run, beyond its state: its report, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling_airflow.common.redaction import without_secrets
from kindling_airflow.plan_report.page_data import one_line

__all__ = ["details_of"]

_LONGEST = 2_000
_MOST = 200


def details_of(report: Mapping[str, Any], progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report and a stream's progress as a page shows them; "" and [] for what is unknown.

    Args:
        report: the report of the pipe's last attempt that sent one; may be of another release.
        progress: the last news of a stream.
    """
    extra, error = _mapping(report.get("extra")), _mapping(report.get("error"))
    slices = _mapping(extra.get("slices_read"))
    return {
        "status": _text(report.get("status")),
        "reason": _text(report.get("reason")),
        "note": _text(extra.get("note")),
        "output": _text(report.get("output_entity_id")),
        "location": _text(report.get("location")),
        "rows": report.get("rows_written"),
        "seconds": report.get("duration_seconds"),
        "application": _text(report.get("application_id")),
        "slice": _text(extra.get("slice_written")),
        "inputs": [
            [
                _text(item.get("entity_id")),
                item.get("rows"),
                _text(slices.get(str(item.get("entity_id")))),
            ]
            for item in _mappings(report.get("inputs"))
        ],
        "expectations": [
            [
                _text(item.get("name")),
                _text(item.get("outcome")),
                _text(item.get("expects")),
                item.get("violations"),
                item.get("rows"),
            ]
            for item in _mappings(report.get("expectations"))
        ],
        "error": [_text(error.get("type")), _text(error.get("message"))] if error else [],
        "stream": [[one_line(str(key)), _text(value)] for key, value in progress.items()][:_MOST],
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = without_secrets(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else []
    return [item for item in found if isinstance(item, Mapping)][:_MOST]
