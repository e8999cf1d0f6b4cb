# Two images: `cpu` for head, workers and MLflow, and `gpu` with CuPy and CUDA's libraries.
#
#   docker build --target cpu --tag searchlab:cpu .
#   docker build --target gpu --tag searchlab:gpu .
#
# Packages are installed before the code: a change of the code reinstalls only its wheel. Their versions and hashes are
# in deploy/requirements, which `make lock` makes and `make lint` checks; nothing else is downloaded from PyPI.

ARG PYTHON=3.12.11

# --- packages, in a virtual environment without pip
FROM python:${PYTHON}-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY deploy/requirements requirements
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/cpu.txt

FROM packages AS packages-gpu
# CUDA's libraries are among the wheels: the host needs only the driver
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/gpu.txt

# --- the code, as a wheel
FROM packages AS wheel
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY searchlab searchlab
COPY models models
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

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
