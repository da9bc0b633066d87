#!/bin/sh
# Installs from Debian what some tests need: Prometheus with promtool, Chromium with its driver, tmux, mandoc,
# zsh and fish.
# What is there already is not touched, and no Prometheus is left running.
set -eu

missing=
for pair in prometheus:prometheus promtool:prometheus chromium:chromium chromedriver:chromium-driver tmux:tmux \
    mandoc:mandoc zsh:zsh fish:fish; do
    if ! command -v "${pair%%:*}" > /dev/null; then
        missing="$missing ${pair#*:}"
    fi
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get > /dev/null; then
    echo "There is no apt-get here; install these yourself:$missing"
    exit 1
fi
if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi

# Debian starts what it installs; this says no while it installs, unless somebody has said so already.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    made=$(mktemp)
    printf '#!/bin/sh\nexit 101\n' > "$made"
    $as_root install -m 755 "$made" "$policy"
    trap '$as_root rm -f "$policy"; rm -f "$made"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086  one word for each package
$as_root apt-get install -qq -y --no-install-recommends $missing > /dev/null
