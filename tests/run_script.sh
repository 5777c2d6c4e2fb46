#!/usr/bin/env bash
# Runs one test script in an empty directory that is removed afterwards.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
source "$SOURCE/tests/script.sh"
source "$1"
