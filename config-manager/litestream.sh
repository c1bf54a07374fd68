#!/bin/sh
# Runs Litestream beside config-manager, as litestream.yml says, where no systemd does it.
#
# It waits until config-manager has named host and epoch, holds the lock for checkpoints as long as it
# lives, and ends when the epoch is another one: whoever keeps it running starts it on the new path.
set -eu
: "${PARLOUR_DATA:?config-manager\'s DATA_DIR}" "${PARLOUR_REPLICAS:?where the copies go}"
here=$(dirname "$0")
folder=$PARLOUR_DATA/config-manager
names=$folder/litestream.env

# The copies hold every setting in clear.
umask 077

until [ -s "$names" ]; do
  sleep 1
done
started_with=$(cat "$names")
set -a
. "$names"
set +a

flock --no-fork "$folder/config.db.ckpt" \
  litestream replicate -config "${LITESTREAM_CONFIG:-$here/litestream.yml}" &
litestream=$!
trap 'kill $litestream 2>/dev/null || true' TERM INT

while kill -0 $litestream 2>/dev/null; do
  sleep 1
  if [ "$(cat "$names" 2>/dev/null)" != "$started_with" ]; then
    echo "a new epoch has begun; the next start copies it to a path of its own" >&2
    kill $litestream 2>/dev/null || true
    break
  fi
done
wait $litestream
