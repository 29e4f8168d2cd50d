"""Bytes from and for devices: files that arrive in one call or resumably, and sync packages."""

from waystation.devices import DeviceDeleted
from waystation.files import jobs, packages
from waystation.files.events import FileDeleted, FileStored
from waystation.files.model import File, check_name
from waystation.files.packages import hot
from waystation.files.receiving import Receiving
from waystation.files.service import Content, Sender, delete, find, forget_device, keep, of_device
from waystation.files.sniff import HEAD_BYTES, media_type
from waystation.files.store import Wanted, count, newest
from waystation.files.uploads.access import Uploader
from waystation.files.uploads.access import of_device as sender_of
from waystation.kernel.feature import Every, Feature, HotRoute

feature = Feature(
    name="files",
    hot=(
        HotRoute("GET", "/api/packages/next", hot.next_package, who="device", answer=hot.NEXT),
        HotRoute("POST", "/api/packages/report", hot.report, who="device", body=hot.REPORT, answer=hot.REPORTED),
    ),
    routes=(
        "waystation.files.api:router",
        "waystation.files.uploads.api:router",
        "waystation.files.uploads.api:tus",
        "waystation.files.packages.api:router",
        "waystation.files.pages:router",
        "waystation.files.actions:router",
        "waystation.files.packages.pages:router",
        "waystation.files.packages.actions:router",
    ),
    jobs=(
        Every(600, jobs.end_rested_uploads, takes_parts=True),
        Every(600, jobs.forget_drafts, takes_parts=True),
        Every(600, jobs.forget_blobs, takes_parts=True),
        Every(3600, jobs.forget_old_files, takes_parts=True),
        Every(86_400, jobs.adopt_blobs, takes_parts=True),
    ),
    listens={DeviceDeleted: forget_device},
    runs=("waystation.files.edges:watch_packages",),
)

__all__ = [
    "HEAD_BYTES",
    "Content",
    "File",
    "FileDeleted",
    "FileStored",
    "Receiving",
    "Sender",
    "Uploader",
    "Wanted",
    "check_name",
    "count",
    "delete",
    "feature",
    "find",
    "keep",
    "media_type",
    "newest",
    "of_device",
    "packages",
    "sender_of",
]
