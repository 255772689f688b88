// Reads requests that the `http` handler sent, with libraries that know nothing of it.
//
// Usage: node verify.mjs REQUESTS.json KEY NODE_MODULES. Exits with 77 where the libraries are not installed.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [file, key, modules] = process.argv.slice(2);
let Webhook, HTTP;
try {
  const require = createRequire(join(modules, "x.js"));
  ({ Webhook } = require("standardwebhooks"));
  ({ HTTP } = require("cloudevents"));
} catch (error) {
  console.error(error.message);
  process.exit(77);
}

const expect = (is, what) => {
  if (!is) throw new Error(what);
};

for (const { mode, headers, body } of JSON.parse(readFileSync(file, "utf8"))) {
  new Webhook(key).verify(body, headers);
  let refused = false;
  try {
    new Webhook(key).verify(`${body} `, headers);
  } catch {
    refused = true;
  }
  expect(refused, "a body that was changed is accepted");
  const event = HTTP.toEvent({ headers, body });
  expect(event.type === "com.tallyfy.run.seen.v1", event.type);
  expect(event.id === headers["webhook-id"], event.id);
  expect(event.source === "/organizations/acme/runs/r1", event.source);
  expect(event.sequence === "1".padStart(20, "0"), event.sequence);
  expect(event.partitionkey === "r1", event.partitionkey);
  expect(event.subject === "r1" && event.data.run.id === "r1", event.subject);
  expect(event.data.run.name.startsWith("Größe"), event.data.run.name);
  console.log("ok", mode);
}
