# The core alone: etlch data and etlch score. The folder mounted at /work is where runs are written.
FROM python:3.11-slim AS wheel
WORKDIR /etlch
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.11-slim
RUN --mount=from=wheel,source=/wheel,target=/wheel pip install --no-cache-dir --no-compile /wheel/etlch-*.whl
WORKDIR /work
ENTRYPOINT ["etlch"]
