"""The action behind the module ``containerd_install``: brings what is on the controller to the node, if it is the right thing.

An archive's checksum is compared here first, so that a wrong one is refused before a byte is sent.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        try:
            archives = [dict(archive) for archive in args.get("archives") or []]
            repository = dict(args["repository"]) if args.get("repository") else None
        except (TypeError, ValueError):
            archives, repository = [], None  # the module says what is wrong with them
        else:
            # Everything is looked at before anything is sent.
            found = [self._archive(archive) if archive.get("src") else None for archive in archives]
            if repository and "://" not in str(repository.get("key") or ""):
                repository["key_content"] = self._key(str(repository.get("key") or ""))
            if not self._task.check_mode and any(found):
                self._send(archives, found)
            args.update(archives=archives, repository=repository)
        try:
            result.update(self._execute_module(module_args=args, task_vars=task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _archive(self, archive: dict[str, Any]) -> Path:
        path = Path(self._local(str(archive["src"])))
        try:
            with path.open("rb") as stream:
                actual = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise AnsibleActionFail(f"{path}: {error.strerror}. Nothing was changed.") from None
        if actual != str(archive.get("sha256", "")).lower():
            raise AnsibleActionFail(
                f"{path} has SHA-256 {actual}, but {archive.get('name')} {archive.get('version')} must have "
                f"{archive.get('sha256')}; nothing was changed. Get the archive again, or correct sha256 in "
                "unshim_containerd_archives."
            )
        return path

    def _key(self, name: str) -> str:
        path = Path(self._local(name))
        try:
            return path.read_text(encoding="ascii")
        except OSError as error:
            raise AnsibleActionFail(f"{path}: {error.strerror}. Nothing was changed.") from None
        except UnicodeDecodeError:
            raise AnsibleActionFail(
                f"{path} is not an armoured OpenPGP key; nothing was changed. Export it with `gpg --armor --export`."
            ) from None

    def _local(self, name: str) -> str:
        try:
            return str(self._find_needle("files", name))
        except AnsibleError:
            raise AnsibleActionFail(f"{name} is not on the controller. Nothing was changed.") from None

    def _send(self, archives: list[dict[str, Any]], found: list[Path | None]) -> None:
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        for number, (archive, path) in enumerate(zip(archives, found, strict=True)):
            if path is None:
                continue
            there = self._connection._shell.join_path(self._connection._shell.tmpdir, f"archive-{number}")
            self._transfer_file(str(path), there)
            archive.update(src="", path=there)
