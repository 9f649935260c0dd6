"""YARN's resource manager, through its REST interface: find, follow and kill an application.

The address is known from the Spark connection's extra ``yarn_resourcemanager_webapp_address``,
``[kindling] yarn_resource_manager``, or the worker's Hadoop configuration. The ``yarn`` command is
not needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

__all__ = ["NoAnswerError", "ResourceManager", "YarnApplication", "addresses_in"]

_TIMEOUT = (3, 20)  # seconds, to connect and to read
_LOG_BYTES = 64 * 1024
_LOG_TEXT = re.compile(r"LogContents:\n(.*?)\n?End of LogType:", re.DOTALL)
_CONTAINER = re.compile(r"(https?://[^/]+)/node/containerlogs/(container_\w+)")


class NoAnswerError(Exception):
    """No resource manager gives a usable answer; the text says why."""


@dataclass(frozen=True, slots=True)
class YarnApplication:
    """An application as YARN reports it.

    Attributes:
        id: its id.
        state: ``ACCEPTED``, ``RUNNING``, ``FINISHED``, ``FAILED``, ``KILLED`` ...
        final_status: ``SUCCEEDED``, ``FAILED``, ``KILLED``, or ``UNDEFINED`` until it ends.
        diagnostics: YARN's own words about its end.
        tracking_url: its page; "" where there is none.
        log_url: the page with the log of its driver; "" where there is none.
    """

    id: str
    state: str
    final_status: str
    diagnostics: str = ""
    tracking_url: str = ""
    log_url: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it will never run again."""
        return self.state in ("FINISHED", "FAILED", "KILLED")

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.state == "FINISHED" and self.final_status == "SUCCEEDED"


class ResourceManager:
    """The resource managers of one cluster, of which one is active.

    Args:
        addresses: of all of them, such as ``http://host:8088``.
        user: who Hadoop takes this process for where the cluster does not authenticate.
        auth: how requests authenticate; None: as ``user``.
    """

    def __init__(self, addresses: Sequence[str], user: str = "", auth: Any = None) -> None:
        self._addresses = list(addresses)
        self._user = user
        self._auth = auth

    @property
    def name(self) -> str:
        """The addresses, for messages."""
        return ", ".join(self._addresses)

    def check(self) -> None:
        """Return if one answers.

        Raises:
            NoAnswerError: none does.
        """
        self._call("GET", "/info")

    def application(self, application_id: str) -> YarnApplication:
        """Return an application.

        Raises:
            NoAnswerError: YARN does not know it, or does not answer.
        """
        return _application(self._call("GET", f"/apps/{application_id}").get("app"))

    def tagged(self, tag: str) -> YarnApplication | None:
        """Return the latest application with a tag, or None.

        Raises:
            NoAnswerError: YARN does not answer.
        """
        document = self._call("GET", "/apps", {"applicationTags": tag.lower()})
        found = (document.get("apps") or {}).get("app") or []
        apps = [_application(item) for item in found]
        return max(apps, key=lambda app: _number(app.id), default=None)

    def kill(self, application_id: str) -> None:
        """Ask for an application to be killed; its end is seen by asking for its state.

        Raises:
            NoAnswerError: the request was refused, or not answered.
        """
        self._call("PUT", f"/apps/{application_id}/state", json={"state": "KILLED"})

    def driver_output(self, application: YarnApplication) -> str:
        """Return the end of what a driver has printed; "" where it is not to be had any more.

        A node keeps a container's log until it is aggregated, soon after the application's end.
        """
        found = _CONTAINER.match(application.log_url)
        if found is None:
            return ""
        url = f"{found[1]}/ws/v1/node/containerlogs/{found[2]}/stdout"
        query = {"size": str(-_LOG_BYTES), **self._query()}
        try:
            answer = requests.get(url, params=query, auth=self._auth, timeout=_TIMEOUT)
        except requests.RequestException:
            return ""
        text = _LOG_TEXT.search(answer.text) if answer.ok else None
        return "" if text is None else text[1]

    def _query(self) -> dict[str, str]:
        return {"user.name": self._user} if self._user and self._auth is None else {}

    def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, json: Any = None
    ) -> dict[str, Any]:
        problem = "no address"
        for address in self._addresses:
            url = f"{address.rstrip('/')}/ws/v1/cluster{path}"
            try:
                answer = requests.request(
                    method,
                    url,
                    params={**(query or {}), **self._query()},
                    json=json,
                    auth=self._auth,
                    timeout=_TIMEOUT,
                    headers={"Accept": "application/json"},
                )
                if not answer.ok:
                    problem = f"{address} answers {answer.status_code}: {_short(answer.text)}"
                    continue
                document = answer.json()
            except (requests.RequestException, ValueError) as error:
                problem = f"{address}: {_short(str(error))}"
                continue
            if isinstance(document, dict):
                return document
            problem = f"{address} answers {_short(answer.text)}"
        raise NoAnswerError(problem)


def addresses_in(text: str) -> list[str]:
    """Return the addresses in a setting: separated by commas, ``http://`` by default."""
    places = [place.strip().rstrip("/") for place in text.split(",") if place.strip()]
    return [place if "://" in place else f"http://{place}" for place in places]


def _application(document: Any) -> YarnApplication:
    if not isinstance(document, dict) or not {"id", "state"} <= document.keys():
        raise NoAnswerError(f"an unexpected answer: {_short(str(document))}")
    tracking = str(document.get("trackingUrl") or "")
    return YarnApplication(
        id=str(document["id"]),
        state=str(document["state"]),
        final_status=str(document.get("finalStatus") or "UNDEFINED"),
        diagnostics=str(document.get("diagnostics") or "").strip(),
        tracking_url="" if tracking == "UNASSIGNED" else tracking,
        log_url=str(document.get("amContainerLogs") or ""),
    )


def _number(application_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in application_id.split("_")[1:] if part.isdigit())


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
