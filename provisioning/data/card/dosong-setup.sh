#!/bin/sh
# Written by dosong-provision card for @PROBE@. `setup` runs once at the first boot, `enrol` once there is a network.
# Every step may be cut off by a power failure and is then done again. It needs nothing but what Raspberry Pi OS has.
# DOSONG_ROOT and DOSONG_BOOT are for trying it out in a folder; on a card they are empty.
root=${DOSONG_ROOT:-}
boot=${DOSONG_BOOT:-$root/boot/firmware}
claim=$boot/dosong-claim.toml
folder=$root/etc/dosong
say() { printf '%s dosong-setup: %s\n' "$(date -u +%FT%TZ)" "$*" | tee -a "$boot/dosong-setup.log" >&2; }
on_the_pi() { [ -z "$root" ]; }

wipe() { # FILE: FAT is written over in place
  [ -f "$1" ] || return 0
  dd if=/dev/zero of="$1" bs="$(wc -c <"$1")" count=1 conv=notrunc,fsync 2>/dev/null
  rm -f "$1"
}

host_name() {
  printf '%s\n' '@HOSTNAME@' >"$root/etc/hostname"
  sed -i '/^127\.0\.1\.1[[:space:]]/d' "$root/etc/hosts" 2>/dev/null
  printf '127.0.1.1\t%s\n' '@HOSTNAME@' >>"$root/etc/hosts"
  on_the_pi && hostname '@HOSTNAME@' 2>/dev/null
  say 'host name @HOSTNAME@'
}

time_and_words() {
  ln -sf '/usr/share/zoneinfo/@TIMEZONE@' "$root/etc/localtime"
  printf '%s\n' '@TIMEZONE@' >"$root/etc/timezone"
  mkdir -p "$root/etc/default"
  printf 'LANG=%s\n' '@LOCALE@' >"$root/etc/default/locale"
  if on_the_pi && [ '@LOCALE@' != C.UTF-8 ] && command -v locale-gen >/dev/null; then
    sed -i 's/^# *\(@LOCALE@ UTF-8\)/\1/' /etc/locale.gen && locale-gen >/dev/null 2>&1
  fi
  say 'time zone @TIMEZONE@, locale @LOCALE@'
}

login() { # without a key nobody logs in by network; the wizard that waits at a screen for a user is ended either way
  on_the_pi || return 0
  [ -x /usr/lib/userconf-pi/userconf ] && /usr/lib/userconf-pi/userconf dosong '*' >/dev/null 2>&1
  key='@SSH_KEY@'
  [ -n "$key" ] || { systemctl -q disable ssh 2>/dev/null; return 0; }
  if [ -x /usr/lib/raspberrypi-sys-mods/imager_custom ]; then
    /usr/lib/raspberrypi-sys-mods/imager_custom enable_ssh -k "$key" && say 'SSH: by key only'
  else
    say 'SSH: this system is not Raspberry Pi OS; put the key there by hand'
  fi
}

page() { # the technician's page and its access point, if the card has them
  [ -f "$boot/dosong-page/page.key" ] || return 0
  mkdir -p "$folder" "$root/etc/hostapd" "$root/etc/systemd/network"
  cp "$boot/dosong-page/page.key" "$boot/dosong-page/page.toml" "$folder/" &&
    cp "$boot/dosong-page/hostapd.conf" "$root/etc/hostapd/" &&
    cp "$boot/dosong-page/70-dosong-ap.network" "$root/etc/systemd/network/" || return 1
  chmod 600 "$folder/page.key" "$root/etc/hostapd/hostapd.conf"
  on_the_pi && { chown dosong-probe:dosong-probe "$folder/page.key" "$folder/page.toml" 2>/dev/null; rfkill unblock wifi; }
  sync
  for one in page.key hostapd.conf page.toml 70-dosong-ap.network; do wipe "$boot/dosong-page/$one"; done
  rmdir "$boot/dosong-page" 2>/dev/null
  say "the technician's page is in place"
}

package() { # a package that lies on the card needs no network
  [ -f "$boot/dosong-probe.deb" ] || return 0
  on_the_pi || return 0
  if DEBIAN_FRONTEND=noninteractive dpkg -i "$boot/dosong-probe.deb" >>"$boot/dosong-setup.log" 2>&1; then
    rm -f "$boot/dosong-probe.deb"
    say 'the program is installed from the card'
  else
    say 'the package on the card could not be installed; its reason stands above'
  fi
}

own_unit() { # the package's unit does the first boot itself, without privileges
  for place in /lib /usr/lib /etc; do
    [ -f "$root$place/systemd/system/dosong-firstboot.service" ] && return 0
  done
  return 1
}

unit() { # what enrols once there is a network: the package's own unit if it has one, else this script
  if own_unit; then
    on_the_pi && systemctl -q enable dosong-firstboot.service 2>/dev/null
    say 'enrolment is left to dosong-firstboot.service'
    return 0
  fi
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/usr/local/sbin"
  cp "$boot/dosong-setup.sh" "$root/usr/local/sbin/dosong-setup" && chmod 755 "$root/usr/local/sbin/dosong-setup"
  cat >"$root/etc/systemd/system/dosong-card.service" <<'UNIT'
[Unit]
Description=dosong: the claim on the card becomes this probe's identity
After=network-online.target local-fs.target
Wants=network-online.target
ConditionPathExists=/boot/firmware/dosong-claim.toml
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/dosong-setup enrol
Restart=on-failure
RestartSec=60
TimeoutStartSec=900

[Install]
WantedBy=multi-user.target
UNIT
  ln -sf ../dosong-card.service "$root/etc/systemd/system/multi-user.target.wants/dosong-card.service"
  say 'enrolment follows once there is a network'
}

enrol() { # dosong-probe wipes the claim itself; what it could not wipe is wiped here, but only once it is enrolled
  if own_unit; then
    on_the_pi && systemctl start --no-block dosong-firstboot.service
    return 0
  fi
  [ -f "$claim" ] || [ -f "$folder/claim.toml" ] || return 0
  command -v dosong-probe >/dev/null || { say 'dosong-probe is not installed yet'; return 1; }
  if dosong-probe firstboot --claim "$claim" --station "$boot/dosong-station.toml" --folder "$folder" \
    --wait "${DOSONG_WAIT:-600}" >"$boot/dosong-fingerprint.txt" 2>>"$boot/dosong-setup.log"; then
    wipe "$claim"
    on_the_pi && { chown -R dosong-probe:dosong-probe "$folder"; systemctl enable --now dosong-probe.service; } 2>/dev/null
    say 'enrolled; the six digits stand in dosong-fingerprint.txt'
    return 0
  fi
  rm -f "$boot/dosong-fingerprint.txt"
  say 'not enrolled yet; the reason stands above'
  return 1
}

case "${1:-setup}" in
  setup) [ "${2:-}" = cloud ] || { host_name; time_and_words; login; }; package; page; unit; sync ;;
  enrol) enrol ;;
  *) echo "usage: $0 setup [cloud] | enrol" >&2; exit 2 ;;
esac
