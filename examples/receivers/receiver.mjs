// Receives events of runs-worker: verifies the signature, recognizes repeats by their id, stores, and answers then.
//
// Usage: WEBHOOK_KEY=whsec_... node receiver.mjs [HOST:PORT] [FILE]
// Needs: npm install standardwebhooks

import { existsSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.NODE_MODULES ?? join(process.cwd(), "node_modules"), "x.js"));
const { Webhook } = require("standardwebhooks");

const [address = "127.0.0.1:9000", file = "events.jsonl"] = process.argv.slice(2);
const webhook = new Webhook(process.env.WEBHOOK_KEY);

// One event a line. A line that broke off when the power went was never acknowledged, and comes again.
const known = new Set();
for (const line of existsSync(file) ? readFileSync(file, "utf8").split("\n") : []) {
  try {
    known.add(JSON.parse(line).id);
  } catch {}
}
const store = await open(file, "a");

// Anything but 2xx makes the worker send the event again, in its order, for days.
async function receive(headers, body) {
  try {
    webhook.verify(body, headers);
  } catch {
    return 401;
  }
  let event;
  try {
    event = JSON.parse(body);
  } catch {
    return 400;
  }
  // The id is the same at every attempt: what is there already is not stored again.
  const repeated = known.has(event.id);
  if (!repeated) {
    await store.write(`${body.replaceAll("\n", " ")}\n`);
    await store.datasync();
    known.add(event.id);
  }
  console.log(repeated ? "repeated" : "stored", event.id, event.type);
  return 204;
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  const isOurs = request.method === "POST" && request.url === "/events";
  try {
    response.statusCode = isOurs ? await receive(request.headers, body) : 404;
  } catch {
    response.statusCode = 503;
  }
  response.end();
});

const [host, port] = address.split(":");
server.listen(Number(port), host, () => console.log(`listening on ${host}:${server.address().port}`));
