"""How reports come back: through which names, checked before anything is submitted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fsspec
import pytest
from airflow.sdk.io import attach

from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver import report_channels
from kindling_airflow.operators.driver.report_channels import OutputChannel, report_channel
from kindling_airflow.operators.driver.shared_files import SharedFiles, shared_files
from kindling_airflow.operators.driver.yarn import addresses_in

PATH = "_kindling/reports/k.json"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_channels, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(report_channels, "_checked", set())
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    monkeypatch.setenv("HADOOP_USER_NAME", "etl")


@contextmanager
def name_node(*, is_standby: bool = False) -> Iterator[tuple[str, dict[str, str]]]:
    """Serve WebHDFS; yields its address and the files by path, of which a folder is a prefix."""
    files: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = self._asked()
            if query["op"] == "OPEN" and path in files:
                self._text(files[path])
            elif query["op"] == "GETFILESTATUS" and path in files:
                status = {"type": "FILE", "length": len(files[path].encode())}
                self._text(json.dumps({"FileStatus": status}))
            elif query["op"] != "LISTSTATUS":
                self._missing(path)
            elif any(name.startswith(f"{path}/") for name in files):
                found = sorted(
                    {
                        n[len(path) + 1 :].partition("/")[0]
                        for n in files
                        if n.startswith(f"{path}/")
                    }
                )
                listed = [{"pathSuffix": n, "type": "FILE", "length": 1} for n in found]
                self._text(json.dumps({"FileStatuses": {"FileStatus": listed}}))
            else:
                self._missing(path)

        def do_PUT(self) -> None:
            path, query = self._asked()
            if query["op"] == "CREATE" and "step" not in query:
                self.send_response(307)
                self.send_header("Location", f"http://{self.headers['Host']}{self.path}&step=2")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if query["op"] == "CREATE":
                files[path] = ""
            self._text('{"boolean": true}')

        def do_POST(self) -> None:
            path, query = self._asked()
            if "step" not in query:
                self.send_response(307)
                self.send_header("Location", f"http://{self.headers['Host']}{self.path}&step=2")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            files[path] += self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            self._text("")

        def do_DELETE(self) -> None:
            files.pop(self._asked()[0], None)
            self._text('{"boolean": true}')

        def _asked(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            assert query["user.name"] == "etl"
            return parts.path.removeprefix("/webhdfs/v1"), query

        def _missing(self, path: str) -> None:
            error = {"exception": "FileNotFoundException", "message": path}
            self._text(json.dumps({"RemoteException": error}), 404)

        def _text(self, text: str, status: int = 200) -> None:
            if is_standby:
                error = {"exception": "StandbyException", "message": "state standby"}
                text, status = json.dumps({"RemoteException": error}), 403
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestFolder:
    def test_a_file_that_shows_late_is_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = report_channel(str(tmp_path))
        monkeypatch.setattr(
            report_channels.time, "sleep", lambda _: channel.files.write(PATH, "late")
        )
        assert channel.fetch("k") == "late"
        channel.forget("k")
        assert channel.fetch("k", 1) is None

    def test_a_uri_of_a_shared_folder_is_a_path(self, tmp_path: Path) -> None:
        report_channel(str(tmp_path)).files.write(PATH, "here")
        channel = report_channel(f"file://{tmp_path}")
        assert channel.fetch("k", 1) == "here"
        assert channel.report_path("k") == f"file://{tmp_path}/{PATH}"

    def test_what_hadoop_has_written_beside_a_file_goes_with_it(self, tmp_path: Path) -> None:
        files = shared_files(str(tmp_path))
        crc = tmp_path / ".a.crc"
        for change in (lambda: files.write("a", "1"), lambda: files.delete("a")):
            crc.touch()
            change()
            assert not crc.exists()

    def test_the_check_leaves_nothing_and_is_made_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report_channel(str(tmp_path)).check()
        assert list((tmp_path / "_kindling" / "checks").iterdir()) == []
        channel = report_channel(str(tmp_path))
        monkeypatch.setattr(channel.files, "write", lambda *_: 1 / 0)
        channel.check()

    def test_storage_that_returns_another_text_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = report_channel(str(tmp_path))
        monkeypatch.setattr(channel.files, "read", lambda _path: "stale")
        with pytest.raises(ReportError, match="OSError: it returns another text"):
            channel.check()

    def test_a_report_that_cannot_be_read_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = report_channel(str(tmp_path))

        def denied(_path: str) -> str:
            raise PermissionError("no")

        monkeypatch.setattr(channel.files, "read", denied)
        with pytest.raises(ReportError) as refused:
            channel.fetch("k")
        assert str(refused.value) == (
            "the report of a driver on the cluster cannot be read from "
            f"'{tmp_path}/{PATH}': PermissionError: no\n"
            "  Fix: give the worker access to it: install the Airflow provider of its storage, and "
            "set [kindling] warehouse_conn_id to the connection; or set [kindling] report_url to "
            "storage that worker and driver can reach; or use deploy_mode client."
        )


class TestObjectStore:
    @pytest.mark.parametrize(
        ("said", "meant"),
        [("s3a://lake/w/", "s3://lake/w"), ("gs://l/w", "gs://l/w"), ("wasbs://l/w", "abfs://l/w")],
    )
    def test_it_is_read_through_airflow(
        self, said: str, meant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[Any] = []
        monkeypatch.setenv("AIRFLOW__KINDLING__WAREHOUSE_CONN_ID", "lake")
        monkeypatch.setattr(
            "airflow.sdk.ObjectStoragePath", lambda uri, conn_id: made.append((uri, conn_id))
        )
        report_channel(said)
        assert made == [(meant, "lake")]

    def test_files_go_and_come(self) -> None:
        """fsspec's own store in memory stands for that of a cloud."""
        attach("memory", fs=fsspec.filesystem("memory"))
        files = shared_files("memory://lake/w")
        assert files.names("_kindling/claims") == []
        files.write("_kindling/claims/a", "hällo")
        assert (files.read("_kindling/claims/a"), files.names("_kindling/claims")) == (
            "hällo",
            ["a"],
        )
        files.delete("_kindling/claims/a")
        files.delete("_kindling/claims/a")
        with pytest.raises(FileNotFoundError):
            files.read("_kindling/claims/a")

    def test_one_that_the_worker_cannot_read_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ReportError) as refused:
            report_channel("nosuch://lake/w").check()
        text = str(refused.value)
        assert text.startswith(
            "the worker cannot write and read back a small file in 'nosuch://lake/w' (the "
            "warehouse), by which a driver in cluster deploy mode reports: "
        )
        assert "install the Airflow provider of its storage" in text


class TestHdfs:
    def used(self, files: SharedFiles) -> None:
        files.write("_kindling/claims/a", "hällo")
        assert files.read("_kindling/claims/a") == "hällo"
        assert files.names("_kindling/claims") == ["a"]
        files.delete("_kindling/claims/a")
        assert files.names("_kindling/claims") == []
        with pytest.raises(FileNotFoundError):
            files.read("_kindling/claims/a")

    def test_the_hadoop_configuration_has_the_address(self, tmp_path: Path) -> None:
        with name_node() as (address, _files):
            properties = {
                "fs.defaultFS": "hdfs://nn.example.com:8020",
                "dfs.namenode.http-address": address,
            }
            items = "".join(
                f"<property><name>{key}</name><value>{value}</value></property>"
                for key, value in properties.items()
            )
            (tmp_path / "hdfs-site.xml").write_text(f"<configuration>{items}</configuration>")
            variables = {"HADOOP_CONF_DIR": str(tmp_path)}
            for url in ("hdfs://nn.example.com:8020/w", "hdfs:///w"):
                self.used(shared_files(url, environment=variables))

    def test_a_setting_has_it_and_the_active_one_is_found(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with name_node(is_standby=True) as (standby, _), name_node() as (active, files):
            monkeypatch.setenv("AIRFLOW__KINDLING__WEBHDFS_ADDRESS", f"{standby}, http://{active}")
            channel = report_channel("hdfs://lake/w")
            channel.check()
            self.used(channel.files)
            assert not files
            channel.files.write(PATH, "text")
            assert files == {f"/w/{PATH}": "text"}

    def test_a_connection_has_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HADOOP_USER_NAME", "somebody")
        with name_node() as (address, _files):
            host, _, port = address.partition(":")
            connection = {"conn_type": "webhdfs", "host": host, "port": int(port), "login": "etl"}
            monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
            self.used(shared_files("hdfs://lake/w", "lake"))

    def test_its_own_rest_url_has_it(self) -> None:
        with name_node() as (address, _files):
            self.used(shared_files(f"webhdfs://{address}/w"))

    def test_one_that_is_out_of_reach_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ReportError) as refused:
            report_channel("hdfs://127.0.0.1:1/w").check()
        text = str(refused.value)
        assert "in 'hdfs://127.0.0.1:1/w' (the warehouse)" in text
        assert "set [kindling] webhdfs_address to its HTTP address" in text

    def test_without_any_address_that_is_said(self) -> None:
        with pytest.raises(ReportError, match="of the NameNode of 'hdfs:///w' is not known"):
            report_channel("hdfs:///w")


class TestReportUrl:
    def test_driver_and_worker_name_it_each_in_its_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__KINDLING__REPORT_URL", str(tmp_path))
        channel = report_channel("hdfs://out.of.reach/w")
        channel.check()
        assert channel.report_path("k") == f"{tmp_path}/{PATH}"
        monkeypatch.setenv("AIRFLOW__KINDLING__REPORT_URL", "s3://lake/reports")
        monkeypatch.setattr("airflow.sdk.ObjectStoragePath", lambda *_a, **_k: None)
        assert report_channel("/w").report_path("k") == f"s3a://lake/reports/{PATH}"


def test_addresses_in_a_setting() -> None:
    assert addresses_in("rm1:8088, https://rm2:8090/,") == ["http://rm1:8088", "https://rm2:8090"]


def test_in_client_mode_there_is_nothing_to_read() -> None:
    channel = OutputChannel()
    channel.check()
    channel.forget("k")
    assert (channel.report_path("k"), channel.fetch("k")) == ("", None)
