# One image for API and workers. It runs as a user without rights; data and model cache are volumes.
#
#   docker build -t densify .
#   docker build -t densify --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu .    without CUDA, 5 GB less

FROM python:3.11-slim AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL}
RUN python -m venv /opt/densify
WORKDIR /src
COPY . .
RUN /opt/densify/bin/pip install -c constraints.txt '.[postgres,s3,quantize,korean]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data densify \
    && mkdir -p /data /models \
    && chown densify:densify /data /models
COPY --from=build /opt/densify /opt/densify
ENV PATH=/opt/densify/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models \
    DENSIFY_DATA=/data
USER densify
WORKDIR /data
VOLUME ["/data", "/models"]
EXPOSE 8000
# SIGTERM: chunks in hand are given back to the ledger before the process ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["densify"]
CMD ["--help"]
