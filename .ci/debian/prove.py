"""
The life of the package on a real Debian: installed, used, upgraded, killed, removed.

C{prove.py SUITE DEB}: makes a tree of that suite with mmdebstrap (or takes it from the folder
C{$CCRELAY_TREES}, where it is kept as a tar; C{--tree SUITE} does no more than that), boots it with
systemd-nspawn, and prints a line for each thing that holds or does not.  Its last
line is C{N passed, N failed}.  Needs root; touches nothing outside its own folder, and its network is its
own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = "ca-certificates,systemd,systemd-sysv,dbus,python3,logrotate"
CONFIG = "/etc/ccrelay/config.yaml"
PATIENCE_S = 60.0
SLOW = """
  - {name: slow, type: simulator, pace_ms: 150}
routing: {strategy: model_based, model_mapping: {slow: slow}, default_provider: simulator}"""


def sh(*words: str, check: bool = True, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command, and return what it printed."""
    done = subprocess.run(
        words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )
    if check and done.returncode:
        msg = f"{' '.join(words)}: status {done.returncode}\n{done.stdout}"
        raise RuntimeError(msg)
    return done


def tree_of(suite: str, folder: Path) -> Path:
    """Return the tar of a minimal system, made if need be."""
    trees = Path(os.environ.get("CCRELAY_TREES", folder))
    kept = trees / f"{suite}.tar"
    if not kept.exists():
        trees.mkdir(parents=True, exist_ok=True)
        sh("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", suite, str(kept))
    return kept


class Machine:
    """A tree that runs systemd."""

    def __init__(self, suite: str, folder: Path) -> None:
        self.tree = folder / suite
        self.tree.mkdir()
        sh(
            "tar",
            "--extract",
            "--file",
            str(tree_of(suite, folder)),
            "--directory",
            str(self.tree),
            "--exclude=./dev/*",
        )
        self._booted: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self) -> None:
        """Boot it, and wait until it runs."""
        self._booted = subprocess.Popen(
            [
                "systemd-nspawn", "--quiet", f"--directory={self.tree}", "--register=no", "--keep-unit",
                "--private-network", "--boot",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )  # fmt: skip
        number = self._booted.pid
        children = Path(f"/proc/{number}/task/{number}/children")

        def up() -> bool:
            found = children.read_text().split()
            if not found:
                return False
            self._leader = int(found[0])
            state = self.run("systemctl", "is-system-running", check=False).stdout
            return state.strip() in {"running", "degraded"}

        wait(up, "the machine boots")

    def run(self, *words: str, check: bool = True, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        inside = ["nsenter", f"--target={self._leader}", "--all", "--", "/usr/bin/env", "-i",
                  "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]  # fmt: skip
        return sh(*inside, *words, check=check, **how)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin with a command in it."""
        inside = ["nsenter", f"--target={self._leader}", "--all", "--", "/usr/bin/python3", *words]
        return subprocess.Popen(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def show(self, what: str, unit: str = "ccrelay.service") -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", f"--property={what}", "--value", unit).stdout.strip()

    def active(self, unit: str = "ccrelay.service") -> bool:
        """Return whether a unit is active."""
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"

    def listing(self) -> list[str]:
        """Return every path of what packages and daemons leave behind."""
        moving = ("cache/*", "log/*.log*", "log/journal/*", "log/apt/*", "lib/dpkg/*", "lib/apt/*",
                  "lib/systemd/*", "tmp/*")  # fmt: skip
        words = ["find", "/etc", "/usr", "/var", "/opt", "/srv", "/root", "/home", "-xdev"]
        for path in moving:
            words += ["-not", "-path", f"/var/{path}"]
        return sorted(self.run(*words).stdout.splitlines())

    def off(self) -> None:
        """End it."""
        if self._booted is None:
            return
        if self._leader:
            self.run("systemctl", "poweroff", check=False)
        try:
            self._booted.wait(30)
        except subprocess.TimeoutExpired:
            self._booted.kill()
            self._booted.wait()


def wait(found: Any, what: str) -> Any:
    """Return what is found as soon as it is true."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    msg = f"{what}: not within {PATIENCE_S:g} s"
    raise RuntimeError(msg)


class Proof:
    """What is tried, step by step; one that fails does not keep the next from being tried."""

    def __init__(self, machine: Machine, package: Path, folder: Path) -> None:
        self.machine = machine
        self.package = package
        self.folder = folder
        self.passed = self.failed = 0

    def holds(self, what: str, so: object, shown: object = "") -> None:
        """Note whether something is so."""
        if so:
            self.passed += 1
            print(f"ok      {what}", flush=True)
        else:
            self.failed += 1
            print(f"NOT OK  {what}: {shown}", flush=True)

    def versions(self) -> tuple[str, str]:
        """Put three versions into the machine: this one, the next, and one that takes no configuration."""
        target = self.machine.tree / "opt"
        shutil.copy(self.package, target / "ccrelay_1.deb")
        shutil.copy(HERE / "client.py", target / "client.py")
        version = sh("dpkg-deb", "--field", str(self.package), "Version").stdout.strip()
        following, refusing = f"{version}+next", f"{version}+refusing"
        for name, number, edit in (
            ("2", following, ('__version__ = "', '__version__ = "next-')),
            ("3", refusing, None),
        ):
            tree = self.folder / f"version-{name}"
            sh("dpkg-deb", "--raw-extract", str(self.package), str(tree))
            control = tree / "DEBIAN/control"
            control.write_text(control.read_text().replace(f"Version: {version}\n", f"Version: {number}\n"))
            if edit is not None:
                path = tree / "usr/lib/ccrelay/ccrelay/_version.py"
                path.write_text(path.read_text().replace(*edit))
            else:
                path = tree / "usr/lib/ccrelay/ccrelay/tap.py"
                path.write_text(
                    path.read_text().replace(
                        '    given = options["config"]\n',
                        '    sys.stderr.write("ccrelay: server.listen: no more a key of this version\\n")\n'
                        "    raise SystemExit(EX_CONFIG)\n",
                    )
                )
            sh(
                "dpkg-deb",
                "--root-owner-group",
                "-Zgzip",
                "-z1",
                "--build",
                str(tree),
                str(target / f"ccrelay_{name}.deb"),
            )
        return following, refusing

    def install(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Install one of them, as an administrator would."""
        words = ["apt-get", "install", "-y", "-q", *options, f"/opt/ccrelay_{name}.deb"]
        return self.machine.run(*words, check=False)

    def prove(self) -> None:
        """Try all of it."""
        machine = self.machine
        following, _ = self.versions()
        machine.boot()
        before = machine.listing()
        self.port_taken()
        done = self.install("1")
        self.holds("apt installs it", done.returncode == 0, done.stdout)
        self.holds(
            "it is active",
            machine.active(),
            machine.run("systemctl", "status", "ccrelay", check=False).stdout,
        )
        self.used()
        self.sandbox()
        self.reloaded()
        self.upgraded(following)
        self.refused()
        self.full_disk()
        self.killed()
        self.hung()
        self.restarted()
        self.by_socket()
        self.second_instance()
        self.broken()
        self.purged(before)

    def port_taken(self) -> None:
        """Where something else has the port, it is installed, and says that it does not serve, and why."""
        machine = self.machine
        other = machine.start("/opt/client.py", "take", "/opt/stop")
        time.sleep(0.5)
        done = self.install("1")
        self.holds("with the port taken apt still succeeds", done.returncode == 0, done.stdout)
        self.holds("and it is said", "journalctl --unit=ccrelay" in done.stdout, done.stdout)
        journal = machine.run("journalctl", "--unit=ccrelay", "--no-pager").stdout
        self.holds("the journal says why", "Address already in use" in journal, journal)
        (machine.tree / "opt/stop").touch()
        other.wait(30)
        (machine.tree / "opt/stop").unlink()
        machine.run("apt-get", "purge", "-y", "-q", "ccrelay")

    def used(self) -> None:
        """It answers and streams, and its command finds it."""
        machine = self.machine
        said = machine.run("python3", "/opt/client.py", "message", check=False).stdout
        self.holds("it answers", "simulated" in said, said)
        said = machine.run("python3", "/opt/client.py", "stream", check=False).stdout
        self.holds("it streams", '"last": "message_stop"' in said, said)
        done = machine.run("ccrelay", "status", check=False)
        self.holds(
            "`ccrelay status` finds it", done.returncode == 0 and "simulator" in done.stdout, done.stdout
        )
        done = machine.run("ccrelay", "check", "--config", CONFIG, check=False)
        self.holds("`ccrelay check` takes the configuration", done.returncode == 0, done.stdout)
        modes = machine.run(
            "stat", "--format=%U:%G %a %n", CONFIG, "/etc/default/ccrelay", "/etc/ccrelay/credentials"
        )
        wanted = [
            f"root:_ccrelay 640 {CONFIG}",
            "root:root 640 /etc/default/ccrelay",
            "root:root 700 /etc/ccrelay/credentials",
        ]
        self.holds("owners and modes", modes.stdout.splitlines() == wanted, modes.stdout)

    def sandbox(self) -> None:
        """The process has no privileges, and the machine's exposure to it is small."""
        machine = self.machine
        number = machine.show("MainPID")
        lines = machine.run("cat", f"/proc/{number}/status").stdout
        user = machine.run("stat", "--format=%U", f"/proc/{number}").stdout.strip()
        self.holds("it runs as _ccrelay", user == "_ccrelay", user)
        self.holds("without capabilities", "CapEff:\t0000000000000000" in lines, lines)
        self.holds("with its calls filtered", "Seccomp:\t2" in lines, lines)
        score = machine.run(
            "systemd-analyze", "security", "ccrelay.service", "--no-pager", check=False
        ).stdout
        last = [line for line in score.splitlines() if "Overall exposure level" in line]
        value = float(last[0].split(":")[1].split()[0]) if last else 10.0
        self.holds(f"systemd-analyze security: {value}", value <= 1.5, score[-200:])

    def edit(self, old: str, new: str, path: str = CONFIG) -> None:
        """Change a file of the machine as an administrator would."""
        file = Path(f"{self.machine.tree}{path}")
        text = file.read_text()
        if old not in text:
            msg = f"{path} has no {old!r}"
            raise RuntimeError(msg)
        file.write_text(text.replace(old, new))

    def reloaded(self) -> None:
        """A change of the configuration is taken over, by systemctl as well."""
        machine = self.machine
        self.edit("type: simulator}", "type: simulator}" + SLOW)
        done = machine.run("systemctl", "reload", "ccrelay", check=False)
        self.holds("systemctl reload", done.returncode == 0, done.stdout)
        journal = ["journalctl", "--unit=ccrelay", "--no-pager"]
        wait(lambda: "configuration reloaded" in machine.run(*journal).stdout, "it is reloaded")
        self.holds("the same process goes on", machine.active())

    def under_load(self, act: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """Do something while clients ask and a stream runs; return what they counted, and its result."""
        machine = self.machine
        stop = machine.tree / "opt/stop"
        stop.unlink(missing_ok=True)
        asking, streaming = (
            machine.start("/opt/client.py", "load", "/opt/stop"),
            machine.start("/opt/client.py", "stream"),
        )
        time.sleep(1.5)
        done = act()
        time.sleep(1)
        stop.touch()  # for those who ask
        counted, streamed = asking.communicate(timeout=120)[0], streaming.communicate(timeout=120)[0]
        stop.unlink()
        return json.loads(counted), json.loads(streamed), done

    def unharmed(self, what: str, counted: dict[str, Any], streamed: dict[str, Any]) -> None:
        """Note that no request failed and the stream was whole."""
        held = f"{what}: {counted['done']} requests, none failed, the slowest {counted['slowest']} s"
        self.holds(held, not counted["failed"] and counted["done"] > 10, counted)
        self.holds(f"{what}: the stream that ran is whole", streamed["last"] == "message_stop", streamed)

    def upgraded(self, following: str) -> None:
        """The next version takes over without a request lost, and a changed configuration is kept."""
        machine = self.machine
        old = machine.show("MainPID")
        counted, streamed, done = self.under_load(lambda: self.install("2"))
        self.holds("apt upgrades it", done.returncode == 0, done.stdout)
        self.unharmed("upgrade", counted, streamed)
        there = machine.run("dpkg-query", "--show", "--showformat=${Version}", "ccrelay").stdout
        self.holds("the next version is installed", there == following, there)
        number = machine.show("MainPID")
        self.holds("another process serves", number not in {old, "0"} and machine.active(), number)
        log = machine.run("journalctl", "--unit=ccrelay", "--no-pager", f"_PID={number}").stdout
        version = machine.run("ccrelay", "version").stdout
        self.holds("with the new code", "next-" in version, version + log)
        self.holds("the configuration is kept", "name: slow" in (machine.tree / CONFIG[1:]).read_text())
        modes = machine.run("stat", "--format=%U:%G %a", CONFIG).stdout.strip()
        self.holds("with its owner and mode", modes == "root:_ccrelay 640", modes)
        gone = f"test ! -e /proc/{old} || ! grep -q ccrelay /proc/{old}/cmdline"
        wait(lambda: machine.run("sh", "-c", gone, check=False).returncode == 0, "the old process ends")
        self.holds("the old process has ended", True)
        wait(lambda: machine.show("WatchdogTimestampMonotonic") not in {"", "0"}, "the watchdog hears of it")
        self.holds("the watchdog hears of the new one", True)

    def refused(self) -> None:
        """A version that refuses the configuration leaves the old one serving, and that is said."""
        machine = self.machine
        old = machine.show("MainPID")
        counted, streamed, done = self.under_load(lambda: self.install("3"))
        self.holds(
            "apt installs a version that takes no such configuration", done.returncode == 0, done.stdout
        )
        self.holds("and says that the old one goes on", "the old one goes on" in done.stdout, done.stdout)
        self.unharmed("refused upgrade", counted, streamed)
        self.holds("the old process goes on", machine.show("MainPID") == old and machine.active())
        journal = machine.run("journalctl", "--unit=ccrelay", "--no-pager", "--lines=2000").stdout
        self.holds("the journal says why", "no more a key of this version" in journal, journal[-2000:])
        self.install("2")
        machine.run("apt-get", "install", "-y", "-q", "--allow-downgrades", "/opt/ccrelay_2.deb")

    def killed(self) -> None:
        """Who asks after a kill -9 waits for the next process, and is answered."""
        machine = self.machine
        number = machine.show("MainPID")
        machine.run("sh", "-c", f"kill -9 {number}")
        said = machine.run("python3", "/opt/client.py", "message", check=False).stdout
        self.holds("right after a kill -9 it answers", "simulated" in said, said)
        wait(machine.active, "it is active again")

    def restarted(self) -> None:
        """A hand-over and a restart refuse nobody."""
        machine = self.machine
        counted, streamed, done = self.under_load(lambda: machine.run("ccrelay", "upgrade", check=False))
        self.holds("ccrelay upgrade", done.returncode == 0, done.stdout)
        self.unharmed("hand-over", counted, streamed)
        machine.run("systemctl", "restart", "ccrelay")
        self.holds("systemctl restart", machine.active())
        machine.run("systemctl", "stop", "ccrelay")
        said = machine.run("python3", "/opt/client.py", "message", check=False).stdout
        self.holds("when it is stopped, its port is closed", "refused" in said, said)
        machine.run("systemctl", "start", "ccrelay")

    def full_disk(self) -> None:
        """An upgrade for which the disk is too small fails, and the daemon goes on."""
        machine = self.machine
        number = machine.show("MainPID")
        libraries = "/usr/lib/ccrelay"
        # As much as there is, byte code and all, and too little more.
        size = int(machine.run("du", "--summarize", "--block-size=1M", libraries).stdout.split()[0]) + 5
        machine.run("sh", "-c", f"mkdir /opt/full && mount -t tmpfs -o size={size}m none /opt/full")
        machine.run("sh", "-c", f"cp -a {libraries}/. /opt/full && mount --bind /opt/full {libraries}")
        done = self.install("1", "--allow-downgrades")
        self.holds(
            "on a full disk apt fails", done.returncode != 0 and "No space left" in done.stdout, done.stdout
        )
        said = machine.run("python3", "/opt/client.py", "message", check=False).stdout
        self.holds("and the daemon goes on", "simulated" in said and machine.show("MainPID") == number, said)
        machine.run("sh", "-c", f"umount {libraries} && umount /opt/full && rmdir /opt/full")
        done = self.install("2", "--reinstall")
        self.holds("with space, apt mends it", done.returncode == 0 and machine.active(), done.stdout)

    def hung(self) -> None:
        """A process that does not turn any more is replaced."""
        machine = self.machine
        drop_in = machine.tree / "etc/systemd/system/ccrelay.service.d"
        drop_in.mkdir()
        (drop_in / "watchdog.conf").write_text("[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", "ccrelay")
        number = machine.show("MainPID")
        machine.run("sh", "-c", f"kill -STOP {number}")
        said = machine.run("python3", "/opt/client.py", "message", check=False).stdout
        self.holds("who asks a process that hangs is answered by the next", "simulated" in said, said)
        self.holds("which the watchdog has started", machine.show("MainPID") not in {number, "0"})
        shutil.rmtree(drop_in)
        machine.run("systemctl", "daemon-reload")

    def by_socket(self) -> None:
        """With the socket unit the address is held while no process is there; one starts for who asks."""
        machine = self.machine
        machine.run("systemctl", "stop", "ccrelay")
        done = machine.run("systemctl", "start", "ccrelay.socket", check=False)
        self.holds("the socket unit listens", done.returncode == 0, done.stdout)
        said = machine.run("python3", "/opt/client.py", "message", check=False).stdout
        self.holds("and starts the daemon for who asks", "simulated" in said and machine.active(), said)
        counted, _, _ = self.under_load(lambda: machine.run("systemctl", "restart", "ccrelay"))
        new = [words for words in counted["failed"] if words.startswith("new")]
        self.holds("a restart under it refuses no connection", not new and counted["done"] > 10, counted)
        machine.run("systemctl", "stop", "ccrelay.socket", "ccrelay")
        machine.run("systemctl", "start", "ccrelay")
        self.holds("without it the daemon listens by itself again", machine.active())

    def second_instance(self) -> None:
        """A second instance runs beside the first, with a file, a state, a variable and a credential."""
        machine = self.machine
        own = (
            "server: {listen: '127.0.0.1:8788'}\nmetrics: {enabled: false}\n"
            "logging: {output: /var/log/ccrelay/second/relay.log}\nproviders:\n"
            "- {name: sim, type: simulator}\n"
            "- {name: one, type: anthropic, base_url: 'http://127.0.0.1:1', keys: [{key_file: key_own}]}\n"
            "- {name: two, type: anthropic, base_url: 'http://127.0.0.1:1', keys: [{key: '${OWN_KEY}'}]}\n"
        )
        file, variables = (
            machine.tree / "etc/ccrelay/second.yaml",
            machine.tree / "etc/default/ccrelay-second",
        )
        credential = machine.tree / "etc/ccrelay/credentials/own"
        file.write_text(own)
        done = machine.run("systemctl", "start", "ccrelay@second", check=False)
        self.holds("a second instance wants its key", done.returncode != 0, done.stdout)
        credential.write_text("test-key-of-a-file\n")
        credential.chmod(0o600)
        variables.write_text("OWN_KEY=test-key-of-a-variable\n")
        machine.run("systemctl", "reset-failed", "ccrelay@second")
        done = machine.run("systemctl", "start", "ccrelay@second", check=False)
        self.holds(
            "with a credential and a variable it starts", machine.active("ccrelay@second"), done.stdout
        )
        self.holds("beside the first", machine.active())
        words = ("setpriv", "--reuid=_ccrelay", "--clear-groups", "cat", "/etc/ccrelay/credentials/own")
        done = machine.run(*words, check=False)
        self.holds("whose user cannot read the file itself", done.returncode != 0, done.stdout)
        self.rotated()
        machine.run("systemctl", "stop", "ccrelay@second", check=False)
        file.unlink()
        variables.unlink()

    def rotated(self) -> None:
        """Logs that go to files are rotated, and both instances go on in new ones."""
        machine = self.machine
        self.edit("server:", "logging: {output: /var/log/ccrelay/relay.log}\nserver:")
        folder = machine.tree / "var/log/ccrelay"
        logs = (folder / "relay.log", folder / "second/relay.log")
        wait(lambda: all(log.exists() for log in logs), "both write files")
        words = ("logrotate", "--force", "--state", "/run/rotated", "/etc/logrotate.d/ccrelay")
        done = machine.run(*words, check=False)
        self.holds("logrotate", done.returncode == 0 and not done.stdout, done.stdout)

        def begun() -> bool:
            machine.run("python3", "/opt/client.py", "message", check=False)
            return all(log.exists() and log.stat().st_size for log in logs)

        try:
            wait(begun, "both write new files")
        except RuntimeError as problem:
            self.holds("after a rotation both instances write new files", False, problem)
        else:
            old = [log.with_name("relay.log.1").exists() for log in logs]
            self.holds("after a rotation both instances write new files", all(old), old)
        self.edit("logging: {output: /var/log/ccrelay/relay.log}\n", "")

    def broken(self) -> None:
        """A configuration that cannot be used is not tried for ever."""
        machine = self.machine
        self.edit("server:", "nonsense: 1\nserver:")
        machine.run("systemctl", "restart", "ccrelay", check=False)
        self.holds("a broken configuration ends a restart with 78", machine.show("ExecMainStatus") == "78")
        self.holds("and is not tried again", machine.show("NRestarts") == "0", machine.show("NRestarts"))
        self.edit("nonsense: 1\nserver:", "server:")
        machine.run("systemctl", "reset-failed", "ccrelay")
        machine.run("systemctl", "restart", "ccrelay")
        self.holds("mended, it serves again", machine.active())

    def purged(self, before: list[str]) -> None:
        """Removed and purged, it leaves nothing but what the administrator has put there."""
        machine = self.machine
        (machine.tree / "etc/ccrelay/mine.txt").write_text("the administrator's\n")
        done = machine.run("apt-get", "remove", "-y", "-q", "ccrelay", check=False)
        self.holds("apt removes it", done.returncode == 0, done.stdout)
        self.holds("the configuration stays", (machine.tree / CONFIG[1:]).exists())
        done = machine.run("apt-get", "purge", "-y", "-q", "ccrelay", check=False)
        self.holds("apt purges it", done.returncode == 0, done.stdout)
        self.holds("a foreign file stays", (machine.tree / "etc/ccrelay/mine.txt").exists())
        shutil.rmtree(machine.tree / "etc/ccrelay")
        after = machine.listing()
        strange = sorted(set(before) ^ set(after))
        self.holds("nothing else is left, and nothing is missing", not strange, strange)


def main(suite: str, package: str) -> int:
    """See above."""
    if suite == "--tree":
        tree_of(package, Path())
        return 0
    folder = Path(tempfile.mkdtemp(prefix=f"ccrelay-{suite}-"))
    machine = Machine(suite, folder)
    proof = Proof(machine, Path(package), folder)
    try:
        proof.prove()
    except Exception as problem:  # noqa: BLE001  told, and counted
        proof.holds("the proof goes to its end", False, problem)
    finally:
        machine.off()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{proof.passed} passed, {proof.failed} failed")
    return 1 if proof.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
