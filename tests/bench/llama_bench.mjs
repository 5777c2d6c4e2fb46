// tests/bench/llama_bench.mjs -- decode and prefill of llama.cpp, timed; one line of JSON.
// usage: node llama_bench.mjs MODULES MODEL.gguf IDS.json DECODE THREADS REPEATS
// MODULES: a node_modules directory with node-llama-cpp. IDS.json: an array, the prompt of prefill.
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [modules, model, idsFile, decode, threads, repeats] = process.argv.slice(2);
const {getLlama} = await import(pathToFileURL(modules + "/node-llama-cpp/dist/index.js"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", progressLogs: false,
                              maxThreads: Number(threads)});
const loaded = await llama.loadModel({modelPath: model});
const context = await loaded.createContext({contextSize: 1024, batchSize: 512,
                                            threads: {ideal: Number(threads), min: Number(threads)}});
const sequence = context.getSequence();
const ids = JSON.parse(readFileSync(idsFile));

const median = (x) => x.sort((a, b) => a - b)[x.length >> 1];
async function timed(f) {
    const times = [];
    for (let i = 0; i <= Number(repeats); i++) {
        await sequence.clearHistory();
        const start = performance.now();
        const n = await f();
        if (i) times.push((performance.now() - start) / 1e3 / n); // the first one warms up
    }
    return 1 / median(times);
}
const prefill = await timed(async () => {
    await sequence.evaluateWithoutGeneratingNewTokens(ids);
    return ids.length;
});
const decoded = await timed(async () => {
    let n = 0;
    for await (const id of sequence.evaluate([ids[0]], {temperature: 0, yieldEogToken: true}))
        if (++n >= Number(decode)) break;
    return n;
});
console.log(JSON.stringify({what: "llama.cpp", threads: context.currentThreads, prefill_tok_per_s: prefill,
                            decode_tok_per_s: decoded}));
process.exit(0);
