// tests/peer/llama_ids.mjs -- ids of llama.cpp. usage: node llama_ids.mjs MODULES MODEL.gguf TEXTS.json
// Prints an array of arrays, one a text; texts of special tokens become those tokens, none is added.
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [modules, path, texts] = process.argv.slice(2);
const {getLlama} = await import(pathToFileURL(modules + "/node-llama-cpp/dist/index.js"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", progressLogs: false});
const model = await llama.loadModel({modelPath: path, vocabOnly: false});
const ids = JSON.parse(readFileSync(texts)).map((text) => Array.from(model.tokenize(text, true)));
console.log(JSON.stringify(ids));
process.exit(0);
