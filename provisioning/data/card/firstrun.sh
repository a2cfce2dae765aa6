#!/bin/sh
# Written by dosong-provision card: Raspberry Pi OS Bookworm runs this once, at its first boot (systemd.run in cmdline.txt).
boot=${DOSONG_BOOT:-${DOSONG_ROOT:-}/boot/firmware}
sh "$boot/dosong-setup.sh" setup
sed -i 's| systemd\.run[^ ]*||g; s| systemd\.unit=kernel-command-line\.target||' "$boot/cmdline.txt"
rm -f "$boot/firstrun.sh"
exit 0
