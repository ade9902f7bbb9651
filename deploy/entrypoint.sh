#!/bin/sh
# What every service of the image does first: secrets from files, and Dagster's configuration where Dagster looks for it.
# Does not belong here: what the service is (compose.yaml, deploy/kubernetes).
set -eu

# A file whose name is that of a variable is its value: DAGSTER_POSTGRES_URL, AWS_SECRET_ACCESS_KEY. Others are left alone.
for file in "${SECRETS_DIR:-/run/secrets}"/*; do
  name=$(basename "$file")
  case "$name" in
    [!A-Z]* | *[!A-Z0-9_]*) continue ;;
  esac
  if [ -f "$file" ]; then
    value=$(cat "$file")
    export "$name=$value"
  fi
done

# Replaced at once: other services start beside this one and read it. `none`: something else puts it there.
configuration=${DAGSTER_CONFIGURATION:-dagster.yaml}
if [ "$configuration" != none ]; then
  mkdir -p "$DAGSTER_HOME"
  cp "$DEPLOY_DIR/$configuration" "$DAGSTER_HOME/.dagster.yaml.$$"
  mv "$DAGSTER_HOME/.dagster.yaml.$$" "$DAGSTER_HOME/dagster.yaml"
fi

exec "$@"
