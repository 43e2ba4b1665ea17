#!/usr/bin/env bash
# Install the Debian or Ubuntu packages that pip cannot bring. Quick and silent when nothing is missing.
#   tools/setup_system.sh gl      EGL and Mesa: drawing without a screen (with an NVIDIA driver it draws on the GPU)
#   tools/setup_system.sh tests   Ceph: a real S3 server for the tests, started on loopback by the tests themselves
#   tools/setup_system.sh browser Chromium and its driver: the tests open the gallery's pages in it
# Installs as root or through `sudo -n`; where neither works, prints the exact line and exits with 1.
set -euo pipefail

has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

missing=()
for part in "$@"; do
  case $part in
    gl)
      has_library libEGL.so.1 || missing+=(libegl1)
      has_library libGL.so.1 || missing+=(libgl1)
      # The software driver: a file of its own in Mesa up to 24.1, part of libgallium after.
      compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || has_library libgallium || missing+=(libgl1-mesa-dri)
      # EGL's vendor library that lists Mesa among the devices.
      has_library libEGL_mesa.so.0 || has_library libEGL_nvidia.so.0 || missing+=(libegl-mesa0)
      ;;
    tests)
      command -v ceph-mon >/dev/null || missing+=(ceph-mon)
      command -v ceph-osd >/dev/null || missing+=(ceph-osd)
      command -v radosgw >/dev/null || missing+=(radosgw)
      ;;
    browser)
      command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
      command -v chromedriver >/dev/null || missing+=(chromium-driver)
      ;;
    *)
      echo "error: unknown part '$part'; the parts are gl, tests and browser" >&2
      exit 2
      ;;
  esac
done
((${#missing[@]})) || exit 0

# Ubuntu's own chromium is a snap, which may not open files under /tmp.
if [[ " ${missing[*]} " == *" chromium"* ]] && grep -qs '^ID=ubuntu' /etc/os-release; then
  echo "Missing: a browser for the tests. On Ubuntu install Google Chrome and the chromedriver of its version." >&2
  exit 1
fi

line="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]} (Debian's names). This is no Debian or Ubuntu: install your system's packages for them." >&2
  exit 1
fi
if ((EUID == 0)); then
  as_root=(env DEBIAN_FRONTEND=noninteractive)
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n DEBIAN_FRONTEND=noninteractive)
else
  echo "Missing Debian packages. Please run:  sudo apt-get update && sudo $line" >&2
  exit 1
fi

log=$(mktemp)
echo "Installing Debian packages: ${missing[*]} ..."
# shellcheck disable=SC2086  # the line is meant to be split
if "${as_root[@]}" apt-get update >"$log" 2>&1 && "${as_root[@]}" $line >>"$log" 2>&1; then
  rm -f "$log"
else
  tail -5 "$log" >&2
  echo "That failed (whole output in $log). By hand:  apt-get update && $line" >&2
  exit 1
fi
