# The operator's image. `make image` builds it; docs/install.md says how to load it into a cluster.
#
# BASE must have Python 3.11 or newer as `python3`, with its venv module, and nothing else.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG UV_VERSION=0.13.9
ENV UV_LINK_MODE=copy \
    UV_PYTHON_PREFERENCE=only-system \
    UV_SYSTEM_CERTS=1 \
    UV_PROJECT_ENVIRONMENT=/opt/kubedx
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
# The dependencies first, by the hashes in uv.lock: a change of the code alone does not fetch them again.
RUN /opt/uv/bin/uv sync --frozen --no-default-groups --no-install-project --no-cache --compile-bytecode
COPY operator operator
RUN /opt/uv/bin/uv sync --frozen --no-default-groups --no-editable --no-cache --compile-bytecode \
    && rm -f /opt/kubedx/.lock

FROM ${BASE}
LABEL org.opencontainers.image.title="kubedx" \
      org.opencontainers.image.description="Recognises known failure patterns in a Kubernetes cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
# Owned by root and compiled already: the process can change none of it and needs to write nothing.
COPY --from=build /opt/kubedx /opt/kubedx
ENV PATH=/opt/kubedx/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that the kubelet can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["kubedx"]
CMD ["run"]
