#!/bin/sh
# Fetches Anthropic's JavaScript SDK into tests/live/node/node_modules, for the tests that drive it.
set -eu
cd "$(dirname "$0")/node"
if ! command -v node > /dev/null || ! command -v npm > /dev/null; then
    echo 'There is no node or no npm here: the tests of the JavaScript SDK will be skipped.'
    exit 1
fi
if ! npm install --no-package-lock --no-audit --no-fund --loglevel=error > /dev/null; then
    echo 'npm could not fetch the JavaScript SDK: its tests will be skipped.'
    exit 1
fi
