// Measures llama.cpp on a GGUF file and prints one JSON object.
// Arguments: file, threads, prompt tokens, answer tokens, rounds. The best round counts.
import {getLlama} from "node-llama-cpp";
const [path, threads, promptTokens, answerTokens, rounds] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads});
const model = await llama.loadModel({modelPath: path});
const context = await model.createContext({contextSize: promptTokens + answerTokens + 8, batchSize: 512, threads});
const sequence = context.getSequence();
const prompt = Array.from({length: promptTokens}, (_, index) => 300 + (index * 7) % 5000);
const best = {prefill_tokens_per_s: 0, decode_tokens_per_s: 0};
// The first tokens warm up.
await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, 64));
for (let round = 0; round < rounds; round++) {
    await sequence.clearHistory();
    let started = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt);
    let read = performance.now();
    for (let index = 0; index < answerTokens; index++)
        await sequence.evaluateWithoutGeneratingNewTokens([300 + index]);
    const written = performance.now();
    best.prefill_tokens_per_s = Math.max(best.prefill_tokens_per_s, promptTokens / (read - started) * 1e3);
    best.decode_tokens_per_s = Math.max(best.decode_tokens_per_s, answerTokens / (written - read) * 1e3);
}
best.rss_mb = process.memoryUsage.rss() / 1e6;
console.log(JSON.stringify(best));
process.exit(0);
