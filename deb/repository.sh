#!/bin/sh
# A signed apt repository of our packages, which probes take their upgrades from.
#   deb/repository.sh key FOLDER                    once, on the machine without network: FOLDER/secret.asc stays there, in a
#                                                   safe; FOLDER/dosong-archive.gpg goes to every probe
#   deb/repository.sh publish REPO PERCENT DEB...   add packages to REPO, have PERCENT of the probes take them, sign the index
#   deb/repository.sh phase REPO PERCENT            the same packages for more of the probes (1, then 10, then 100)
# publish and phase ask for DOSONG_ARCHIVE_KEY (secret.asc). Each probe finds by its own machine-id whether it is among the
# first (apt's Phased-Update-Percentage); a probe without phasing in its apt takes everything.
set -eu
suite=stable
fail() { echo "repository: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is missing; apt-get install $2"; }

sign() { # FOLDER with Release -> InRelease
  [ -r "${DOSONG_ARCHIVE_KEY:-}" ] || fail "name the secret key: DOSONG_ARCHIVE_KEY=.../secret.asc"
  home=$(mktemp -d); chmod 700 "$home"
  gpg --homedir "$home" --batch --quiet --import "$DOSONG_ARCHIVE_KEY"
  gpg --homedir "$home" --batch --quiet --yes --digest-algo SHA512 --clearsign --output "$1/InRelease.new" "$1/Release"
  gpgconf --homedir "$home" --kill all 2>/dev/null || true
  rm -rf "$home"
  mv "$1/InRelease.new" "$1/InRelease"
}

index() { # REPO PERCENT: the newest version of each package is phased, older ones stay for the way back
  cd "$1"
  dist=dists/$suite
  for arch in amd64 arm64 armhf; do
    folder=$dist/main/binary-$arch
    mkdir -p "$folder"
    apt-ftparchive --arch "$arch" packages pool | awk -v percent="$2" '
      { print }
      /^Version:/ && percent < 100 { print "Phased-Update-Percentage: " percent }' >"$folder/Packages"
    gzip -9nkf "$folder/Packages"
  done
  rm -f "$dist/Release" "$dist/InRelease"
  apt-ftparchive -o APT::FTPArchive::Release::Origin=dosong -o APT::FTPArchive::Release::Label=dosong \
    -o APT::FTPArchive::Release::Suite=$suite -o APT::FTPArchive::Release::Codename=$suite \
    -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures="amd64 arm64 armhf" \
    release "$dist" >"$dist/Release.new"
  mv "$dist/Release.new" "$dist/Release"
  sign "$dist"
}

need gpg gpg
case "${1:-}:$#" in
key:2)
  [ ! -e "$2/secret.asc" ] || fail "$2 holds a key already; it is never made twice"
  mkdir -p "$2"
  home=$(mktemp -d); chmod 700 "$home"
  gpg --homedir "$home" --batch --quiet --passphrase '' --quick-generate-key 'dosong archive' ed25519 sign 10y
  (umask 077; gpg --homedir "$home" --batch --quiet --armor --export-secret-keys >"$2/secret.asc")
  gpg --homedir "$home" --batch --quiet --export >"$2/dosong-archive.gpg"
  gpgconf --homedir "$home" --kill all 2>/dev/null || true
  rm -rf "$home"
  echo "$2/secret.asc stays offline; $2/dosong-archive.gpg goes to every probe"
  ;;
publish:[4-9] | publish:[1-9][0-9])
  need apt-ftparchive apt-utils
  repo=$2; percent=$3; shift 3
  mkdir -p "$repo/pool"
  for deb in "$@"; do
    name=$(basename "$deb")
    if [ -e "$repo/pool/$name" ] && ! cmp -s "$deb" "$repo/pool/$name"; then
      fail "$name is there already with other bytes: give what changed a new version"
    fi
    cp "$deb" "$repo/pool/"
  done
  (index "$repo" "$percent")
  echo "$repo: $(ls "$repo/pool" | wc -l) packages, for $percent % of the probes"
  ;;
phase:3)
  need apt-ftparchive apt-utils
  (index "$2" "$3")
  echo "$2: for $3 % of the probes"
  ;;
*)
  sed -n 's/^#   //p' "$0" >&2
  exit 2
  ;;
esac
