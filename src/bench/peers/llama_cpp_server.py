"""Measures the server of llama.cpp on a GGUF file and prints one JSON object: tokens of answers a second, the best round.

Arguments: file, threads, a JSON file with the prompts as tokens (`Work` in chat_answers.rs), the mode: `cache` for its
prompt cache and as many slots as there are conversations, `lookup` for its drafts from the prompt as well.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import xllamacpp

KIND = xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE


def serve(path, threads, slots, drafts):
    """The port of a server on this machine."""
    settings = xllamacpp.CommonParams()
    settings.model.path = path
    settings.n_parallel, settings.n_ctx = slots, 512 * slots
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.hostnames, settings.port, settings.verbosity = ["127.0.0.1"], 0, 0
    if drafts:
        settings.speculative.types = [KIND]
    server = xllamacpp.Server(settings)
    return server, int(server.listening_address.rsplit(":", 1)[1].strip("/"))


def main():
    path, threads, work, drafts = sys.argv[1], int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()), sys.argv[4]
    slots = len(work["rounds"][0])
    server, port = serve(path, threads, slots, drafts == "lookup")

    def write(prompt, most):
        connection = HTTPConnection("127.0.0.1", port)
        request = {"prompt": prompt, "n_predict": most, "temperature": 0, "cache_prompt": True}
        connection.request("POST", "/completion", json.dumps(request), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer["tokens_predicted"]

    def rate(writing):
        started = time.perf_counter()
        return sum(writing()) / (time.perf_counter() - started)

    quotes = [rate(lambda: [write(work["quote"], work["quote_tokens"])]) for _ in range(len(work["rounds"]) + 1)]
    together = []
    with ThreadPoolExecutor(slots) as senders:
        for prompts in work["rounds"] if drafts == "cache" else []:
            most = work["conversation_tokens"]
            together.append(rate(lambda: senders.map(lambda prompt: write(prompt, most), prompts)))
    instructions = [part.split(" = ")[0].strip() for part in xllamacpp.get_system_info().split("|") if "AVX" in part]
    figures = {"quote": max(quotes), "together": max(together, default=0.0), "instructions": " ".join(instructions)}
    print(json.dumps(figures), flush=True)


main()
