// tests/peer/llama_cpp.mjs -- next-token probabilities of llama.cpp against recorded logits.
// usage: node llama_cpp.mjs MODULES CHECKS
// MODULES: a node_modules directory with node-llama-cpp. CHECKS: a file with a check a line,
//   MODEL.gguf CASE-DIR base|adapter TOLERANCE [LORA.gguf|- [FIRST-ROW]]
// Prints the largest difference of each; ends with 1 where one is past its tolerance. Where the case has
// a greedy.json, the largest choices after the last row are its ids, unless the closest call is closer than
// the tolerance; with an adapter those of expected.json, which are what we generate too, unless the closest call
// of logits is closer than what the tolerance makes of one: p (1 - p) <= 1/4, and twice that where no row has a
// probability near 1/2.
import {existsSync, readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [modules, checks] = process.argv.slice(2);
const {getLlama} = await import(pathToFileURL(modules + "/node-llama-cpp/dist/index.js"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", progressLogs: false});

const json = (path) => JSON.parse(readFileSync(path));

function logits(directory, name) {
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

async function furthest(sequence, ids, want) {
    await sequence.clearHistory();
    const options = {temperature: 1, topK: 0, topP: 1, minP: 0};
    const out = await sequence.controlledEvaluate([
        ...ids.slice(0, -1), [ids.at(-1), {generateNext: {probabilities: true, options}}]
    ]);
    const got = out.at(-1).next.probabilities;
    return Math.max(...want.map((p, id) => Math.abs(p - (got.get(id) ?? 0))));
}

async function continues(sequence, prompt, ids) {
    const found = [];
    await sequence.clearHistory();
    for await (const id of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
        found.push(id);
        if (found.length === ids.length) break;
    }
    const same = ids.every((id, i) => id === found[i]);
    if (!same) console.log(`greedy ids ${found}, expected ${ids}`);
    return same;
}

async function check(model, directory, which, tolerance, adapter, first) {
    const batch = json(directory + "/batch.json"), rows = batch.rows ?? batch;
    const loaded = await llama.loadModel({modelPath: model});
    const lora = adapter && adapter !== "-" ? {adapters: [{filePath: adapter}]} : undefined;
    const sequence = (await loaded.createContext({contextSize: 256, threads: 1, lora})).getSequence();
    let worst = 0, same = true;
    for (let r = Number(first ?? 0); r < rows.length; r++) {
        const want = softmax(logits(directory, `logits.${which}.row${r}`));
        worst = Math.max(worst, await furthest(sequence, rows[r].input_ids, want));
    }
    const greedy = directory + "/greedy.json", expected = directory + "/expected.json";
    if (which === "base" && existsSync(greedy)) {
        const {ids, smallest_lead: lead} = json(greedy);
        if (lead >= tolerance) same = await continues(sequence, rows.at(-1).input_ids, ids);
    } else if (which === "adapter" && existsSync(expected)) {
        const {prompt, adapter: ids, smallest_lead: lead} = json(expected).greedy;
        if (lead >= 8 * tolerance) same = await continues(sequence, prompt, ids);
    }
    await loaded.dispose();
    const right = worst <= tolerance && same;
    console.log(`${right ? "ok  " : "FAIL"} ${worst.toExponential(2)} of ${tolerance} ${model} ${adapter ?? ""} ${directory} ${which}`);
    return right;
}

let right = true;
for (const line of readFileSync(checks, "utf8").split("\n").filter(Boolean)) {
    const [model, directory, which, tolerance, adapter, first] = line.split(" ");
    right = await check(model, directory, which, Number(tolerance), adapter, first).catch((e) => {
        console.log(`FAIL ${model} ${adapter ?? ""}: ${e.message}`);
        return false;
    }) && right;
}
process.exit(right ? 0 : 1);
