#!/bin/sh
# Installs Debian's redis-server; does nothing when there is one. The tests start their own: no service is left running.
set -eu
if command -v redis-server >/dev/null; then
    exit 0
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
# policy-rc.d with 101 tells Debian's packages not to start their services.
policy=/usr/sbin/policy-rc.d
ours=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
    ours=yes
fi
trap '[ -z "$ours" ] || $sudo rm -f "$policy"' EXIT
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends redis-server >/dev/null
