"""What an older DropSync hub leaves on its disk, in both layouts of its database."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

FULL = """
create table devices (id integer primary key, device_id varchar unique, name varchar, device_type varchar,
  auth_token varchar, last_seen datetime, status varchar, ip_address varchar, firmware_version varchar,
  created_at datetime, is_active boolean);
create table commands (id integer primary key, device_id integer, command varchar, parameters text, status varchar,
  priority integer, timestamp datetime, sent_at datetime, completed_at datetime, result text);
create table messages (id integer primary key, device_id integer, msg_type varchar, content text, severity varchar,
  timestamp datetime, acknowledged boolean);
create table file_syncs (id integer primary key, device_id integer, filename varchar, filepath varchar,
  file_size integer, file_hash varchar, sync_type varchar, status varchar, timestamp datetime, completed_at datetime,
  error_message text);
create table sync_packages (id integer primary key, package_name varchar, target_device_id varchar,
  package_type varchar, file_count integer, total_size integer, status varchar, created_at datetime,
  deployed_at datetime, description text);
create table system_logs (id integer primary key, event_type varchar, source varchar, message text, severity varchar,
  timestamp datetime, additional_data text);
"""
OLD = """
create table devices (id integer primary key, device_id varchar unique, name varchar, auth_token varchar,
  last_seen datetime, status varchar);
create table commands (id integer primary key, device_id varchar, command varchar, status varchar, timestamp datetime);
create table messages (id integer primary key, device_id varchar, msg_type varchar, content text, timestamp datetime);
"""
AT = "2026-11-20 23:15:43.192159"
TOKEN = "A" * 43


def add(database: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        database.execute(f"insert into {table} ({names}) values ({marks})", tuple(row.values()))


def full_layout(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.executescript(FULL)
        field = {"device_type": "esp8266", "last_seen": AT, "created_at": AT, "ip_address": "10.0.0.7"}
        known = {"name": "North field", "auth_token": TOKEN, "status": "online", "firmware_version": "1.2.0"}
        add(made, "devices", [{"id": 1, "device_id": "esp001", **known, "is_active": 1, **field}])
        add(made, "devices", [{"id": 2, "device_id": "esp002", "name": "Gone", "auth_token": "t2", "is_active": 0}])
        add(made, "devices", [{"id": 3, "device_id": "../evil", "name": "Evil", "auth_token": "t3", "is_active": 1}])
        urgent = {"priority": 3, "parameters": '{"a": 1}'}
        sent = {"sent_at": AT, "timestamp": AT, "priority": 1}
        add(
            made,
            "commands",
            [
                {"id": 1, "device_id": 1, "command": "ping", "status": "pending", **urgent},
                {"id": 2, "device_id": 1, "command": "status", "status": "completed", "result": "ok", **sent},
                {"id": 3, "device_id": 1, "command": "reboot", "status": "sent", **sent},
                {"id": 4, "device_id": 3, "command": "ping", "status": "pending"},
                {"id": 5, "device_id": 1, "command": "do it", "status": "pending"},
            ],
        )
        said = {"device_id": 1, "msg_type": "log", "severity": "error", "timestamp": AT}
        add(made, "messages", [{"id": 1, "content": "too hot", **said}, {"id": 2, "content": "cooler", **said}])
        synced = {"filename": "trace.csv", "file_size": 4, "sync_type": "upload", "status": "completed"}
        add(made, "file_syncs", [{"id": 1, "device_id": 1, **synced, "timestamp": AT}])
        package = {"package_name": "conf", "target_device_id": "esp001", "package_type": "config", "created_at": AT}
        add(made, "sync_packages", [{"id": 1, "status": "staged", **package}])
        add(made, "sync_packages", [{"id": 2, "status": "deployed", "deployed_at": AT, **package}])
        line = {"event_type": "device_alert", "source": "esp001", "message": "too hot", "severity": "error"}
        add(made, "system_logs", [{"id": 1, **line, "timestamp": AT, "additional_data": "{}"}])
        made.commit()


def old_layout(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.executescript(OLD)
        add(made, "devices", [{"id": 1, "device_id": "esp001", "name": "North field", "auth_token": "short"}])
        add(made, "commands", [{"id": 1, "device_id": "esp001", "command": "ping", "status": "pending"}])
        said = {"msg_type": "log", "content": "hello", "timestamp": AT}
        add(made, "messages", [{"id": 1, "device_id": "esp001", **said}])
        made.commit()


def whole_hub(folder: Path) -> None:
    (folder / "app").mkdir(parents=True)
    full_layout(folder / "dropsync.db")
    (folder / "app" / "device_auth.json").write_text(json.dumps({"esp001": "another", "esp007": "seven", "a b": "x"}))
    mine = folder / "uploads" / "device-esp001"
    mine.mkdir(parents=True)
    (mine / "trace.csv").write_bytes(b"1,2\n")
    (mine / "run.exe").write_bytes(b"MZ")
    stranger = folder / "uploads" / "device-nobody"
    stranger.mkdir()
    (stranger / "x.txt").write_bytes(b"x")
