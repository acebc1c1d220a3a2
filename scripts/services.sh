#!/bin/sh
# Installs redis-server and PostgreSQL for the tests when they are absent (Debian and Ubuntu; needs root or sudo).
# It starts nothing: the tests start their own servers on free ports in temporary folders, and stop them.
set -eu
have_postgres() { command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
missing=""
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
have_postgres || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "the tests need$missing: install them with your system's package manager, then run make test again" >&2
    exit 2
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "installing$missing for the tests"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# policy-rc.d: Debian would start the servers at once; the tests start their own.
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null
