#!/bin/sh
# Installs Debian's prometheus (promtool comes with it); does nothing when there is one. The tests start their own: no
# service is left running, and none starts with the machine.
set -eu
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
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
# Without what it recommends: the node exporter would be one more service.
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends prometheus >/dev/null
for how in stop disable; do
    if command -v systemctl >/dev/null; then
        $sudo systemctl "$how" prometheus >/dev/null 2>&1 || true # no systemd in a container
    fi
done
