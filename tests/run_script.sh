#!/usr/bin/env bash
# Runs one test script in an empty directory that is removed afterwards.
set -Eeuo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
trap 'echo "FAIL: $1: line $LINENO ended with $?" >&2' ERR
source "$SOURCE/tests/script.sh"
source "$1"
