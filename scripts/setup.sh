#!/usr/bin/env bash
# Everything that dosong needs on this machine, said step by step; a second run only looks and takes a second.
#   scripts/setup.sh demo|test      what the set-up is for (test adds Chromium for pictures)
#   LINK=loopback                   no root needed: namespaces are left out, and so are the packages for them
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-demo}
say() { printf '%s\n' "$*" >&2; }
stamp() { date +%s.%N; }
took() { awk -v a="$1" -v b="$(stamp)" 'BEGIN { printf "%.1f s", b - a }'; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"
  elif command -v sudo >/dev/null && [ -t 0 ]; then sudo "$@"
  else return 77; fi
}

# program that must be there, and the Debian package that brings it
needs="mosquitto:mosquitto influxd:influxdb gpsd:gpsd"
[ "${LINK:-}" = loopback ] || needs="$needs ip:iproute2 ethtool:ethtool nft:nftables nsenter:util-linux"
[ "$purpose" = test ] && needs="$needs chromium:chromium strace:strace"

missing=""
for pair in $needs; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
python=""
for candidate in python3.13 python3.12 python3.11 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate; break
  fi
done
if [ -z "$python" ]; then missing="$missing python3 python3-venv"; python=python3
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then missing="$missing python3-venv"; fi

if [ -n "$missing" ]; then
  begin=$(stamp)
  say "[setup] installing Debian packages:$missing"
  rules=/usr/sbin/policy-rc.d
  install_quietly() {
    # A freshly installed service would start on its default port: forbid that while we install, and leave any
    # service that was here before as it was.
    guard=""
    [ -e "$rules" ] || { printf '#!/bin/sh\nexit 101\n' >"$rules"; chmod 755 "$rules"; guard=1; }
    trap '[ -n "$guard" ] && rm -f "$rules"' EXIT
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1 >/tmp/dosong-apt.$$ 2>&1 || {
      tail -n 20 /tmp/dosong-apt.$$ >&2; return 1; }
    rm -f /tmp/dosong-apt.$$
    if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
      for unit in mosquitto influxdb gpsd gpsd.socket; do
        case " $1 " in *" ${unit%%.*} "*) systemctl disable --quiet "$unit" 2>/dev/null || true ;; esac
      done
    fi
  }
  if ! as_root bash -c "$(declare -f install_quietly); rules=$rules; install_quietly '$missing'"; then
    say "[setup] could not install:$missing"
    say "        Run this once as root:  apt-get install --no-install-recommends$missing"
    say "        Without root the demo also runs with less:  make demo LINK=loopback   (it needs mosquitto, influxdb and gpsd)"
    exit 78
  fi
  say "[setup] Debian packages: $(took "$begin")"
fi

sum=$(cat pyproject.toml constraints.txt scripts/assets.lock 2>/dev/null | cksum; "$python" -V)
if [ ! -x .venv/bin/python ] || [ "$(cat .venv/.dosong-setup 2>/dev/null)" != "$sum" ]; then
  begin=$(stamp)
  say "[setup] Python packages into .venv (pinned by constraints.txt)"
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
  .venv/bin/python scripts/assets.py
  printf '%s' "$sum" >.venv/.dosong-setup
  say "[setup] Python packages: $(took "$begin")"
fi
