#!/usr/bin/env bash
# Everything that dosong needs on this machine, said step by step; a second run only looks and takes a second.
#   scripts/setup.sh demo|check|bench|test|install   what the set-up is for (test adds what tests look with)
#   LINK=loopback                            no root needed: namespaces are left out, and so are the packages for them
# Exit status: 0 ready, 1 a download failed (run it again), 78 this machine or user does not allow it.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-demo}
link=${LINK:-netns}
say() { printf '%s\n' "$*" >&2; }
stamp() { date +%s.%N; }
took() { awk -v a="$1" -v b="$(stamp)" 'BEGIN { printf "%.1f s", b - a }'; }

may_be_root() {
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || [ -t 0 ]
}
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif may_be_root; then sudo "$@"
  else return 77; fi
}

# program that must be there, and the Debian package that brings it
needs="mosquitto:mosquitto influxd:influxdb gpsd:gpsd"
[ "$link" = loopback ] || needs="$needs ip:iproute2 ethtool:ethtool nft:nftables nsenter:util-linux"
[ "${BROKER:-mosquitto}" != nats ] || needs="$needs nats-server:nats-server"
[ "$purpose" != bench ] || needs="$needs iperf3:iperf3 ping:iputils-ping"
if [ "$purpose" = test ]; then
  needs="$needs chromium:chromium strace:strace ping:iputils-ping gpspipe:gpsd-clients openssl:openssl"
  needs="$needs mkfs.ext4:e2fsprogs faketime:faketime victoria-metrics:victoria-metrics nginx:nginx nats-server:nats-server"
  needs="$needs mcopy:mtools mkfs.vfat:dosfstools sfdisk:fdisk"
fi

if [ "$purpose" = install ]; then
  needs="debootstrap:debootstrap systemd-nspawn:systemd-container nsenter:util-linux ip:iproute2 dpkg-deb:dpkg"
  needs="$needs gpg:gpg apt-ftparchive:apt-utils xz:xz-utils"
fi

missing=""
for pair in $needs; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
ls /usr/share/fonts/truetype/liberation*/LiberationSerif-Regular.ttf >/dev/null 2>&1 || missing="$missing fonts-liberation2"
[ "$purpose" != test ] || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ "$purpose" != test ] || command -v pdftotext >/dev/null || missing="$missing poppler-utils"
python=""
for candidate in python3.13 python3.12 python3.11 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate; break
  fi
done
if [ -z "$python" ]; then missing="$missing python3 python3-venv"; python=python3
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then missing="$missing python3-venv"; fi

case "$purpose:$link" in
demo:netns | check:netns)
  if ! may_be_root; then
    say "Missing here: root. The 4G links are network namespaces, and only root may make those ($(id -un) is not root,"
    say "and there is no sudo to ask).${missing:+ Debian packages missing too:$missing.}"
    say "  As root:       make $([ "$purpose" = demo ] && echo demo || echo demo-check)"
    say "  Without root:  make demo LINK=loopback    (no 4G link: every record says invalid_path, nothing new is counted)"
    exit 78
  fi ;;
esac

# Two set-ups at once in one folder take turns.
exec 9<pyproject.toml
flock 9

install_quietly() {
  # A freshly installed service would start on its default port: forbid that while we install, disable what is new, and
  # leave any service that was here before as it was. A rule of ours that a killed run left is taken away first.
  guard=""
  if grep -qs 'written by dosong' "$rules"; then rm -f "$rules"; fi
  log=$(mktemp)
  trap '[ -z "$guard" ] || rm -f "$rules"; rm -f "$log"' EXIT
  trap 'exit 130' INT TERM HUP
  if [ ! -e "$rules" ]; then
    guard=1
    printf '#!/bin/sh\n# written by dosong for the length of one installation\nexit 101\n' >"$rules"
    chmod 755 "$rules"
  fi
  {
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends $1
  } >"$log" 2>&1 || { grep -E '^(E|Err|W):' "$log" | sort -u | tail -n 5 >&2; return 1; }
  for unit in mosquitto.service influxdb.service gpsd.service gpsd.socket victoria-metrics.service nats-server.service nginx.service postgresql.service; do
    case " $1 " in *" ${unit%.*} "*)
      if command -v systemctl >/dev/null; then systemctl disable --quiet "$unit" 2>/dev/null
      else # a machine that is only being built, or has no systemd
        DPKG_MAINTSCRIPT_PACKAGE=${unit%.*} deb-systemd-helper disable "$unit" >/dev/null 2>&1
        update-rc.d "${unit%.*}" disable >/dev/null 2>&1
      fi ;;
    esac
  done
  return 0
}

if [ -n "$missing" ]; then
  begin=$(stamp)
  say "[setup] installing Debian packages:$missing"
  if ! as_root bash -c "$(declare -f install_quietly); rules=/usr/sbin/policy-rc.d; install_quietly '$missing'"; then
    say "[setup] could not install:$missing"
    say "        Run this once as root:  apt-get update && apt-get install --no-install-recommends$missing"
    if [ "$purpose:$link" = demo:netns ] && [ "$(id -u)" != 0 ]; then
      say "        Without root, less is needed (mosquitto, influxdb, gpsd):  make demo LINK=loopback"
    fi
    exit 78
  fi
  say "[setup] Debian packages: $(took "$begin")"
fi

# Scripts in .venv/bin name their interpreter by its full path: a folder that was moved gets a new .venv.
home="$PWD $("$python" -V)"
sum=$(cat pyproject.toml constraints.txt scripts/assets.lock 2>/dev/null | cksum)
if [ ! -x .venv/bin/python ] || [ "$(cat .venv/.dosong-setup 2>/dev/null)" != "$home $sum" ]; then
  begin=$(stamp)
  say "[setup] Python packages into .venv (pinned by constraints.txt)"
  found=$(cat .venv/.dosong-setup 2>/dev/null || true)
  case "${found:-none}" in
  "$home "*) ;;
  none) .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv ;;
  *) "$python" -m venv --clear .venv ;;
  esac
  # A run that is cut off from here on is known by `unfinished` and goes on where it was.
  printf '%s unfinished' "$home" >.venv/.dosong-setup
  if ! .venv/bin/python -m pip install -q --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[dev]' \
    >.venv/pip.log 2>&1; then
    grep -E 'ERROR|error:|No space' .venv/pip.log | head -n 3 >&2 || true
    say "[setup] pip could not install the Python packages: it needs the network (or a mirror, PIP_INDEX_URL) and some"
    say "        300 MB of disk. Run the same command again; what it said is in $PWD/.venv/pip.log"
    exit 1
  fi
  # Without its map library a page says so; the next run tries again.
  .venv/bin/python scripts/assets.py || sum="no map"
  printf '%s %s' "$home" "$sum" >.venv/.dosong-setup
  say "[setup] Python packages: $(took "$begin")"
fi
# What looks at the pages' accessibility; without the network its tests are skipped and say so.
[ "$purpose" != test ] || .venv/bin/python scripts/assets.py --axe >/dev/null || true
