// tests/peer/smollm2_llama_cpp.mjs -- ids and greedy answers of llama.cpp beside ours.
// usage: node smollm2_llama_cpp.mjs MODULES MODEL.gguf TEXTS IDS PROMPTS ANSWERS
// TEXTS: an array of texts, IDS: their ids. PROMPTS, ANSWERS: lines as `lorikeet generate` reads and writes them.
// An answer is the same where llama.cpp gives it; a token of ours may be behind by what rounding makes of two logits, and
// llama.cpp goes on from it.
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

// llama.cpp rounds the activations of 7 products, and keys and values, to f16 in each of 30 layers: n roundings of
// relative size r = 2^-11 / sqrt(3) in a row move a logit by sqrt(n) r z, z the size of logits (20), and the difference
// of two by sqrt(2) times that.
const CLOSE = Math.sqrt(2 * 30 * 9) * 2 ** -11 / Math.sqrt(3) * 20;

const [modules, path, ...files] = process.argv.slice(2);
const {getLlama} = await import(pathToFileURL(modules + "/node-llama-cpp/dist/index.js"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", progressLogs: false});
const model = await llama.loadModel({modelPath: path});
const [texts, ids] = files.slice(0, 2).map((f) => JSON.parse(readFileSync(f)));
const [prompts, answers] = files.slice(2).map((f) => readFileSync(f, "utf8").trim().split("\n").map((l) => JSON.parse(l)));
let wrong = 0, tokens = 0, close = 0;

texts.forEach((text, i) => {
    const got = Array.from(model.tokenize(text, true));
    if (got.join() === ids[i].join()) return;
    console.log(`${JSON.stringify(text)}: ids ${got}, ours are ${ids[i]}`);
    wrong++;
});

const sequence = (await model.createContext({contextSize: 256, threads: 1})).getSequence();

async function greedy(prompt, n) {
    const found = [];
    await sequence.clearHistory();
    for await (const id of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
        found.push(id);
        if (found.length === n) break;
    }
    return found;
}

// By how much llama.cpp puts its likeliest token before the one of ours.
async function lead(given, id) {
    await sequence.clearHistory();
    const options = {temperature: 1, topK: 0, topP: 1, minP: 0};
    const last = [given.at(-1), {generateNext: {probabilities: true, options}}];
    const said = (await sequence.controlledEvaluate([...given.slice(0, -1), last])).at(-1).next.probabilities;
    return Math.log(Math.max(...said.values()) / said.get(id));
}

for (const [i, {ids: answer, text}] of answers.entries()) {
    const prompt = Array.from(model.tokenize(prompts[i].prompt, true));
    for (let k = 0; k < answer.length; k++) { // again from each token that was too close to call
        const found = await greedy([...prompt, ...answer.slice(0, k)], answer.length - k);
        while (k < answer.length && found.shift() === answer[k]) k++;
        if (k === answer.length) break;
        const ahead = await lead([...prompt, ...answer.slice(0, k)], answer[k]);
        close++;
        if (ahead < CLOSE) continue;
        console.log(`${prompts[i].prompt}: token ${k} is not ${answer[k]}, which is ${ahead} behind; ${CLOSE} would be too close to call`);
        wrong++;
        break;
    }
    tokens += answer.length;
    if (model.detokenize(answer) === text) continue;
    console.log(`${JSON.stringify(model.detokenize(answer))}, our text is ${JSON.stringify(text)}`);
    wrong++;
}
console.log(`${texts.length} texts, ${answers.length} answers of ${tokens} tokens, ${close} of them too close to call: ${wrong} wrong`);
process.exit(wrong || tokens < 50 || close > tokens / 20 ? 1 : 0);
