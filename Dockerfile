# One image for every service of compose.yaml and of deploy/kubernetes: the wheel, its locked packages, and deploy/.
# Does not belong here: what a service is started with (compose.yaml), settings, secrets.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
# Packages first: they change less often than the code, and take minutes.
COPY requirements-deploy.lock ./
RUN python -m venv /opt/taker \
    && /opt/taker/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --requirement requirements-deploy.lock
COPY pyproject.toml README.md LICENSE ./
COPY ingestion ingestion
COPY orchestration orchestration
COPY dbt_project dbt_project
RUN python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /dist . \
    && /opt/taker/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps /dist/*.whl

FROM python:3.11-slim-bookworm
# An ordinary user, whose number compose.yaml and the manifests state too: it owns the state and nothing else.
RUN useradd --uid 10001 --user-group --no-create-home taker \
    && install --directory --owner=taker --group=taker /state
COPY --from=build /opt/taker /opt/taker
COPY deploy/entrypoint.sh deploy/healthy.py deploy/create_bucket.py deploy/workspace.yaml /opt/deploy/
COPY deploy/dagster.yaml deploy/workers-dagster.yaml /opt/deploy/
ENV PATH=/opt/taker/bin:$PATH \
    DEPLOY_DIR=/opt/deploy \
    TAKER_STATE_DIR=/state \
    DAGSTER_HOME=/state/dagster \
    HOME=/state \
    PYTHONDONTWRITEBYTECODE=1 \
    DO_NOT_TRACK=1
WORKDIR /state
VOLUME /state
USER 10001:10001
ENTRYPOINT ["/opt/deploy/entrypoint.sh"]
CMD ["taker", "--help"]
