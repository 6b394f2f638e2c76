"""Making container images without a daemon: an OCI archive is a tar of JSON and layer tars.

Everything is deterministic (sorted names, no times), so equal inputs give an equal image id and a
cached stage stays valid.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FORMAT: Final = "1"
"""Changed by hand when the archives come out otherwise: part of the stage's key."""

_COMPRESSION: Final = 1
"""Fast: the archive is unpacked on this machine minutes later."""


def build_layer(files: Mapping[str, Path]) -> bytes:
    """Pack files (path in the image -> file here) as one uncompressed layer, links followed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in list_folders(files):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name in sorted(files):
            source = files[name].resolve()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                tar.addfile(entry, content)
    return out.getvalue()


def list_folders(files: Mapping[str, Any]) -> list[str]:
    """List every folder the files need, parents before children."""
    found = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    return sorted(found)


def write_archive(
    path: Path, reference: str, layer: bytes, *, entrypoint: list[str], architecture: str
) -> None:
    """Write a one-layer image that ``ctr image import`` takes."""
    packed = gzip.compress(layer, _COMPRESSION, mtime=0)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": entrypoint,
            },
            "rootfs": {"type": "layers", "diff_ids": [compute_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        }
    )
    index = _json(
        {
            "schemaVersion": 2,
            "manifests": [
                {
                    **_descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
                    "annotations": {"io.containerd.image.name": reference},
                }
            ],
        }
    )
    with tarfile.open(path, mode="w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", index)
        for blob in (config, manifest, packed):
            _add(tar, "blobs/sha256/" + compute_digest(blob).removeprefix("sha256:"), blob)


def compute_digest(content: bytes) -> str:
    """Return the content's name in an image."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": compute_digest(content), "size": len(content)}


def _json(value: Any) -> bytes:  # noqa: ANN401 - JSON is anything
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
