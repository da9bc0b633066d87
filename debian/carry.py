"""
Make the directory of libraries that the package carries, ccrelay itself among them.

Run as C{/usr/bin/python3 debian/carry.py FOLDER} by C{debian/rules}. The wheels come from
C{debian/wheels} if that is there, so that a build needs no network, else they are downloaded; either
way each must be what C{debian/wheels.lock} says. Those of several Pythons go into one tree: a
compiled module has its Python's tag in its name.
"""

from __future__ import annotations

import gzip
import re
import shutil
import stat
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from wheels import HERE, LOCK, PYTHONS, meant_for, pip

_DATA = (
    "endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json", "bedrock-runtime",
    "bedrock", "sts", "sso", "sso-oidc", "signin",
)  # fmt: skip
"""What ccrelay uses of botocore's descriptions of services, which are 28 MB."""
_USELESS = (
    # Tests, and what is not run here.
    "**/test", "**/tests", "**/newsfragments", "boto3/data", "boto3/examples", "werkzeug/debug/shared",
    # C sources and headers beside what was compiled of them.
    "**/*.c", "**/*.h", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.pyi",
    # Twins in C of what is there in Python as well: PyYAML's brings a copy of libyaml.
    "yaml/_yaml*.so", "charset_normalizer/*.so", "markupsafe/_speedups*.so", "*mypyc*.so",
    "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/direct_url.json",
    "*.dist-info/*sboms*",
)  # fmt: skip
_NAMESPACES = ("google", "azure")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def main(folder: Path) -> None:
    """Make it, and the list of what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    tree, wheels = folder / "ccrelay", folder / "wheels"
    tree.mkdir(parents=True)
    _gather(wheels)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}", str(HERE.parent))
    for wheel in sorted(wheels.glob("*.whl")):
        _unpack(wheel, tree)
    _trim(tree)
    for name in _NAMESPACES:
        # Without it, a package of that name anywhere else would be found first.
        (tree / name / "__init__.py").touch()
    for bundle in ("certifi/cacert.pem", "botocore/cacert.pem"):
        # What the machine trusts is for its administrator to say (update-ca-certificates).
        (tree / bundle).unlink()
        (tree / bundle).symlink_to(_AUTHORITIES)
    _note_plugins(tree)
    (folder / "carried-libraries.txt").write_text(_listed(tree))


def _gather(wheels: Path) -> None:
    """Put the wheels of the lock into a folder."""
    offline = HERE / "wheels"
    where = ["--no-index", f"--find-links={offline}"] if offline.is_dir() else []
    for python in PYTHONS:
        pip(
            "download", "--quiet", "--no-deps", "--require-hashes", f"--requirement={LOCK}",
            f"--dest={wheels}", *where, *meant_for(python),
        )  # fmt: skip


def _unpack(wheel: Path, tree: Path) -> None:
    with ZipFile(wheel) as archive:
        for member in sorted(archive.namelist()):
            if member.endswith("/"):
                continue
            name = re.sub(r"^[^/]*\.data/(purelib|platlib)/", "", member)
            if ".data/" in name:
                continue  # scripts and manual pages of libraries
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))


def _trim(tree: Path) -> None:
    for pattern in _USELESS:
        for path in tree.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (tree / "botocore/data").iterdir():
        if path.name not in _DATA:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(tree.rglob("*")):
        if path.is_dir():
            continue
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o111)
        if path.suffix == ".gz":
            # As packed, it says when that was; the same without.
            path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=0))
        elif path.suffix == ".py" and path.read_bytes().startswith(b"#!"):
            path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    for path in sorted((p for p in tree.rglob("*") if p.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()


def _note_plugins(tree: Path) -> None:
    """Write what Twisted would find out about its plugins at each start, where it cannot write it."""
    find = (
        f"import sys; sys.path.insert(0, {str(tree)!r});"
        "from twisted.plugin import getPlugins; from twisted.application.service import IServiceMaker;"
        "assert 'ccrelay' in [one.tapname for one in getPlugins(IServiceMaker)]"
    )
    subprocess.run([sys.executable, "-ISB", "-W", "ignore", "-c", find], check=True)


def _listed(tree: Path) -> str:
    """Return the libraries with their versions and licences."""
    lines = ["The Python libraries below /usr/lib/ccrelay, each with its version and licence.", ""]
    for metadata in sorted(tree.glob("*.dist-info/METADATA"), key=lambda path: str(path).lower()):
        fields = HeaderParser().parsestr(metadata.read_text("utf-8"))
        licence = fields["License-Expression"] or next(
            (
                value.rpartition(" :: ")[2]
                for value in fields.get_all("Classifier", ())
                if value.startswith("License ::")
            ),
            (fields["License"] or "see its directory").partition("\n")[0],
        )
        lines.append(f"{fields['Name']} {fields['Version']}: {licence}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
