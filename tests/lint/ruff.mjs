// SPDX-License-Identifier: GPL-2.0-only
// Run ruff on files: node ruff.mjs MODULES OPTIONS FILE...
// MODULES is the node_modules with ruff's WebAssembly build, OPTIONS is
// ruff.toml as JSON. Prints file:line:column: code message; exits with 1 if
// there was any.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, options, ...files] = process.argv.slice(2);
const ruff = createRequire(`${modules}/`)("@astral-sh/ruff-wasm-nodejs");
const workspace = new ruff.Workspace(JSON.parse(options), ruff.PositionEncoding.Utf32);
let found = 0;
for (const file of files) {
    for (const fault of workspace.check(readFileSync(file, "utf8"))) {
        const { row, column } = fault.start_location;
        console.log(`${file}:${row}:${column}: ${fault.code ?? "syntax"} ${fault.message}`);
        found++;
    }
}
process.exit(found ? 1 : 0);
