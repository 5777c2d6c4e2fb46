// tests/peer/llama_cpp.mjs -- next-token probabilities of llama.cpp against recorded logits.
// usage: node llama_cpp.mjs MODULES MODEL.gguf CASE-DIR base|adapter TOLERANCE [LORA.gguf|- [FIRST-ROW]]
// MODULES: a node_modules directory with node-llama-cpp. Prints the largest difference. Where the case has
// a greedy.json, the largest choices after the last row are its ids, unless the closest call is closer than
// the tolerance; with an adapter those of expected.json, which are what we generate too, unless the closest call
// of logits is closer than what the tolerance makes of one: p (1 - p) <= 1/4, and twice that where no row has a
// probability near 1/2.
import {existsSync, readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [modules, model, directory, which, tolerance, adapter, first] = process.argv.slice(2);
const lora = adapter === "-" ? undefined : adapter;
const {getLlama} = await import(pathToFileURL(modules + "/node-llama-cpp/dist/index.js"));

function logits(name) {
    const file = readFileSync(directory + "/expected.safetensors");
    const n = Number(file.readBigUInt64LE(0));
    const entry = JSON.parse(file.subarray(8, 8 + n).toString())[name];
    if (entry.dtype !== "F32") throw new Error(name + " is " + entry.dtype);
    const bytes = file.subarray(8 + n + entry.data_offsets[0], 8 + n + entry.data_offsets[1]);
    const all = new Float32Array(new Uint8Array(bytes).buffer);
    return all.subarray(all.length - entry.shape[1]); // the last position
}

function softmax(x) {
    const top = Math.max(...x), e = Array.from(x, (v) => Math.exp(v - top));
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((v) => v / sum);
}

const batch = JSON.parse(readFileSync(directory + "/batch.json"));
const rows = batch.rows ?? batch;
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", progressLogs: false});
const loaded = await llama.loadModel({modelPath: model});
const context = await loaded.createContext({
    contextSize: 256, threads: 1, lora: lora ? {adapters: [{filePath: lora}]} : undefined
});
const sequence = context.getSequence();
let worst = 0;
for (let r = Number(first ?? 0); r < rows.length; r++) {
    const ids = rows[r].input_ids;
    await sequence.clearHistory();
    const want = softmax(logits(`logits.${which}.row${r}`));
    const options = {temperature: 1, topK: 0, topP: 1, minP: 0};
    const out = await sequence.controlledEvaluate([
        ...ids.slice(0, -1), [ids.at(-1), {generateNext: {probabilities: true, options}}]
    ]);
    const got = out.at(-1).next.probabilities;
    for (let id = 0; id < want.length; id++)
        worst = Math.max(worst, Math.abs(want[id] - (got.get(id) ?? 0)));
}

let same = true;
async function continues(prompt, ids) {
    const found = [];
    await sequence.clearHistory();
    for await (const id of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
        found.push(id);
        if (found.length === ids.length) break;
    }
    same = ids.every((id, i) => id === found[i]);
    if (!same) console.log(`greedy ids ${found}, expected ${ids}`);
}
const greedy = directory + "/greedy.json", expected = directory + "/expected.json";
if (which === "base" && existsSync(greedy)) {
    const {ids, smallest_lead: lead} = JSON.parse(readFileSync(greedy));
    if (lead >= Number(tolerance)) await continues(rows.at(-1).input_ids, ids);
} else if (which === "adapter" && existsSync(expected)) {
    const {prompt, adapter: ids, smallest_lead: lead} = JSON.parse(readFileSync(expected)).greedy;
    if (lead >= 8 * Number(tolerance)) await continues(prompt, ids);
}
console.log(`${which}: largest difference of a probability ${worst.toExponential(2)}, allowed ${tolerance}`);
process.exit(worst <= Number(tolerance) && same ? 0 : 1);
