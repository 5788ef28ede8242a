"""Stand-ins for TensorFlow Serving: its REST form and its gRPC service, in front of a function."""

import base64
import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np


@contextlib.contextmanager
def rest_server(predict, *, name="first", unready=0, body=None):
    """Serve `predict`, from a list of bytes to arrays by name, over REST; yield the address.

    Args:
        predict: the model.
        name: under which it is served.
        unready: requests that are refused with 503 first.
        body: what to answer instead, with status 200.
    """
    refused, lock = [], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                if len(refused) < unready:
                    refused.append(self.path)
                    self.reply(503, {"error": "not ready"})
                    return
            if self.path != f"/v1/models/{name}:predict":
                self.reply(404, {"error": f"Servable not found for request: {self.path}"})
                return
            instances = json.loads(content)["instances"]
            images = [base64.b64decode(each["b64"], validate=True) for each in instances]
            self.reply(200, {"predictions": rows(predict(images), len(images))})

        def reply(self, status, answer):
            content = body if body is not None and status == 200 else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/{name}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rows(outputs, count):
    """Row form: base64 for what ends in `_bytes`, text for other strings."""

    def plain(name, value):
        if isinstance(value, bytes):
            return (
                {"b64": base64.b64encode(value).decode()}
                if name.endswith("_bytes")
                else value.decode()
            )
        value = np.asarray(value)
        return [plain(name, each) for each in value] if value.dtype == object else value.tolist()

    return [
        {name: plain(name, array[row]) for name, array in outputs.items()} for row in range(count)
    ]


@contextlib.contextmanager
def grpc_server(predict, *, name="first", unavailable=0):
    """Serve `predict` as `rest_server` does, by TensorFlow Serving's own messages."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    refused, lock = [], threading.Lock()

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            with lock:
                if len(refused) < unavailable:
                    refused.append(request)
                    context.abort(grpc.StatusCode.UNAVAILABLE, "not ready")
            if request.model_spec.name != name:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_spec.name}")
            assert request.model_spec.signature_name == "serving_default"
            images = tf.make_ndarray(request.inputs["images"])
            response = predict_pb2.PredictResponse()
            for key, value in predict(list(images)).items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}/{name}"
    finally:
        server.stop(None).wait()
