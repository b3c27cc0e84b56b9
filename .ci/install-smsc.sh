#!/bin/sh
# Installs node-smpp, the message centre that the SMS channel is tested against, into the directory $1.
set -eu
if ! command -v npm >/dev/null; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
fi
mkdir -p "$1"
npm install --prefix "$1" --ignore-scripts --no-audit --no-fund --silent smpp@0.5.1
