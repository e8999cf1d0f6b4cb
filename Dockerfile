# Two images: `cpu` for head, workers and MLflow, and `gpu` with CuPy and CUDA's libraries.
#
#   docker build --target cpu --tag searchlab:cpu .
#   docker build --target gpu --tag searchlab:gpu .
#
# Packages are installed before the code: a change of the code reinstalls only its wheel.

ARG PYTHON=3.12.11

# --- packages, in a virtual environment without pip
FROM python:${PYTHON}-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY pyproject.toml .
# an empty package of the same name installs the dependencies of the real one
RUN --mount=type=cache,target=/root/.cache/pip \
    mkdir searchlab && touch searchlab/__init__.py README.md LICENSE \
    && python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install '.[cluster]'

FROM packages AS packages-gpu
# [ctk] installs CUDA's libraries as wheels: the host needs only the driver
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install '.[cluster,gpu]' 'cupy-cuda12x[ctk]'

# --- the code, as a wheel
FROM packages AS wheel
COPY README.md LICENSE ./
COPY searchlab searchlab
RUN --mount=type=cache,target=/root/.cache/pip pip wheel --no-deps --wheel-dir /wheels .

# --- the image that runs
FROM python:${PYTHON}-slim-bookworm AS runtime
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GIT_PYTHON_REFRESH=quiet
# the profile sets PATH for login shells, which KubeRay may start Ray with; a new named volume gets the owner of the
# folder that it is mounted on
RUN echo 'PATH=/opt/venv/bin:$PATH' > /etc/profile.d/searchlab.sh \
    && useradd --uid 10001 --user-group --create-home searchlab \
    && mkdir -p /var/lib/searchlab /var/lib/mlflow/artifacts /data \
    && chown -R searchlab:searchlab /var/lib/searchlab /var/lib/mlflow /data
WORKDIR /home/searchlab

FROM runtime AS gpu
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=packages-gpu /opt/venv /opt/venv
RUN --mount=from=wheel,source=/wheels,target=/wheels \
    /usr/local/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --force-reinstall /wheels/*.whl \
    && /usr/local/bin/pip uninstall --yes pip
USER 10001:10001

# the last stage is the default
FROM runtime AS cpu
COPY --from=packages /opt/venv /opt/venv
RUN --mount=from=wheel,source=/wheels,target=/wheels \
    /usr/local/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --force-reinstall /wheels/*.whl \
    && /usr/local/bin/pip uninstall --yes pip
USER 10001:10001
