#!/bin/sh
# What Debian has of what the comparison needs: nginx and wrk.
set -e
missing=''
for tool in nginx wrk; do
    command -v "$tool" > /dev/null || missing="$missing $tool"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then run=''; else run=sudo; fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$run apt-get update -qq && $run apt-get install -qq -y --no-install-recommends $missing > /dev/null
