// Measures how fast llama.cpp writes answers, in tokens a second, and prints one JSON object. The best round counts.
// Arguments: file, threads, a JSON file with the prompts as tokens (`Work` in chat_answers.rs).
import {readFileSync} from "node:fs";
import {getLlama, InputLookupTokenPredictor} from "node-llama-cpp";
const [path, threads] = [process.argv[2], Number(process.argv[3])];
const work = JSON.parse(readFileSync(process.argv[4], "utf8"));
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads});
const model = await llama.loadModel({modelPath: path});

// Reads what the sequence does not know of the prompt and writes up to `most` tokens.
async function write(sequence, prompt, most) {
    await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    let count = 0;
    for await (const _ of sequence.evaluate(prompt.slice(sequence.nextTokenIndex), {temperature: 0}))
        if (++count >= most) break;
    return count;
}

async function rate(writing) {
    const started = performance.now();
    const counts = await writing();
    return counts.reduce((a, b) => a + b, 0) / (performance.now() - started) * 1e3;
}

// The prompt is known from the second time on.
async function quote(options) {
    const context = await model.createContext({contextSize: 1024, batchSize: 512, threads});
    const sequence = context.getSequence(options);
    let best = 0;
    for (let round = 0; round <= work.rounds.length; round++)
        best = Math.max(best, await rate(async () => [await write(sequence, work.quote, work.quote_tokens)]));
    await context.dispose();
    return best;
}

async function together() {
    const count = work.rounds[0].length;
    const context = await model.createContext({contextSize: 512, sequences: count, batchSize: 512, threads});
    const sequences = Array.from({length: count}, () => context.getSequence());
    let best = 0;
    for (const prompts of work.rounds)
        best = Math.max(best, await rate(() => Promise.all(
            prompts.map((prompt, index) => write(sequences[index], prompt, work.conversation_tokens))
        )));
    await context.dispose();
    return best;
}

console.log(JSON.stringify({
    together: await together(),
    quote: await quote({}),
    lookup: await quote({tokenPredictor: new InputLookupTokenPredictor()})
}));
process.exit(0);
