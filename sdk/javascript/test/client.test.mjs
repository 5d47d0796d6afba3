// The client against a running site (FORECOURT_URL, FORECOURT_KEY), over a wire that loses what a test wants lost.
//
//   FORECOURT_URL=… FORECOURT_KEY=… node --test sdk/javascript/test/

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";
import { ApiError, Forecourt, ForecourtError, NoAnswer, verifyWebhook, WebhookRefused } from "../dist/index.js";

const { FORECOURT_URL: url, FORECOURT_KEY: apiKey } = process.env;
const CAR = { brand: "Skoda", model: "Octavia", price: 12500, year: 2019, fuel: "petrol", body: "estate" };

function connect(options = {}) {
  const wire = { faults: [], lost: 0, asked: [] };
  const client = new Forecourt(url, {
    apiKey,
    source: "shop",
    queue: { seconds: 3600 },
    retries: { attempts: 3, firstSeconds: 0.001 },
    fetch: async (address, init) => {
      wire.asked.push(`${init.method} ${new URL(address).pathname}`);
      const fault = wire.faults.shift();
      if (fault instanceof Error) throw fault;
      if (fault) return fault;
      const answer = await fetch(address, init);
      if (wire.lost-- > 0) {
        await answer.arrayBuffer();
        throw new TypeError("the answer was lost");
      }
      return answer;
    },
    ...options,
  });
  return { client, wire };
}

const answer = (status, headers = {}) => new Response("<html>a proxy</html>", { status, headers });
const all = async (items) => {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
};

test("a listing comes in, changes and leaves", async () => {
  const { client } = connect();
  const made = await client.listings.upsert({ external_id: "N-1", title: "Tidy", ...CAR });
  assert.deepEqual([made.source, made.result], ["shop", "created"]);
  assert.equal((await client.listings.patch({ external_id: "N-1", year: null, price: 11900 })).result, "updated");
  const car = await client.listings.get({ external_id: "N-1" });
  assert.deepEqual([car.id, car.selling_price, car.year], [made.id, 11900, null]);
  assert.equal((await client.listings.replace("N-1", { brand: "Skoda", price: 11000 })).result, "updated");
  assert.equal((await client.listings.change({ listing_id: made.id }, { status: "sold" })).status, "sold");
  await assert.rejects(client.listings.change({ listing_id: made.id }, { status: "reserved" }), { code: "conflict", status: 409 });
  await client.listings.delete({ external_id: "N-1" });
  for (const id of ["a/b", "ä €", "50%", "?x=1", "a#b", "+44"]) {
    await client.listings.upsert({ external_id: id, ...CAR });
    assert.equal((await client.listings.get({ external_id: id })).external_id, id);
  }
  assert.equal((await all(client.listings.iterate({ page_size: 2 }))).length, 7);
});

test("a bulk names what is wrong by its place", async () => {
  const { client } = connect();
  const cars = [0, 1, 2].map((n) => ({ external_id: `NB-${n}`, ...CAR, ...(n === 1 ? { year: 3000 } : {}) }));
  const stored = await client.listings.bulk(cars, { source: "bulk" });
  assert.deepEqual([stored.created, stored.refused[0].index, Object.keys(stored.refused[0].fields)], [2, 1, ["year"]]);
  await assert.rejects(client.listings.bulk(cars, { partial: false }), (error) => "listings[1].year" in error.fields);
  const completed = await client.listings.complete(["NB-0"], { source: "bulk", confirm: true });
  assert.deepEqual(completed, { kept: 1, withdrawn: 1, unknown: [] });
});

test("lists, their pages, and events that come from them", async () => {
  const { client } = connect();
  await client.listings.bulk([0, 1, 2, 3, 4, 5].map((n) => ({ external_id: `NL-${n}`, ...CAR, price: 9000 + n, brand: "Tatra" })));
  const pages = await all(client.lists.pages({ k: 4, brand: "tatra" }, { buyer: "n-42" }));
  assert.deepEqual(pages.map((page) => page.recommended.length), [4, 2]);
  const [first, last] = pages;
  assert.equal(last.after, first.list_id);
  const car = last.recommended[1];
  const event = { kind: "view", buyer: "n-42", external_id: car.external_id, list_id: last.list_id, position: car.position };
  client.events.add(event);
  await client.events.flush();
  assert.equal((await client.buyers.get("n-42")).n_events, 1);
  const lists = await client.lists.placements([{ k: 2 }, { k: 2 }], { buyer: "n-42", exclude: [car.id] });
  const shown = lists.flatMap((list) => list.recommended.map((each) => each.id));
  assert.equal(new Set([...shown, car.id]).size, 5);
  assert.equal((await client.lists.rank({ listing_ids: shown }, { buyer: "n-42" })).ranked.length, 4);
  assert.match((await client.lists.similar({ listing_id: car.id }, { k: 3 })).list_id, /^[0-9a-f-]{36}$/);
  assert.equal((await client.lists.car({ external_id: "NL-0" })).external_id, "NL-0");
});

test("searches, saved searches and buyers", async () => {
  const { client } = connect();
  await client.listings.bulk([0, 1, 2, 3, 4].map((n) => ({ external_id: `NS-${n}`, ...CAR, brand: "Lada", price: 1000 + n })));
  const found = await all(client.search.iterate({ brand: ["lada"], ordering: "-price", page_size: 2 }));
  assert.deepEqual(found.map((car) => car.selling_price), [1004, 1003, 1002, 1001, 1000]);
  assert.equal((await client.search.cars({ q: "lada under 1002", facets: true })).count, 3);
  assert.ok(Array.isArray(await client.search.complete("la")));
  const saved = await client.savedSearches.save({ name: "Lada", query: { brand: "lada" } }, { buyer: "n-43" });
  assert.deepEqual(await client.savedSearches.all({ buyer: "n-43" }), [saved]);
  assert.equal((await client.savedSearches.change(saved.id, { alerts: false }, { buyer: "n-43" })).alerts, false);
  assert.equal((await client.savedSearches.changeAlerts({ frequency: "daily" }, { buyer: "n-43" })).frequency, "daily");
  await client.savedSearches.delete(saved.id, { buyer: "n-43" });
  await client.buyers.put("n-43", { country: "GB" });
  assert.equal((await client.buyers.patch("n-43", { locale: "en-GB" })).country, "GB");
  assert.equal((await client.buyers.blockSeller("n-43", { seller_id: "7" })).length, 1);
  await client.buyers.unblockSeller("n-43", { seller_id: "7" });
  assert.deepEqual(await client.buyers.blockedSellers("n-43"), []);
  assert.equal((await client.buyers.hideCar("n-43", { external_id: "NS-0" })).length, 1);
  await client.buyers.showCar("n-43", { external_id: "NS-0" });
  assert.deepEqual(await client.buyers.hiddenCars("n-43"), []);
  assert.equal((await client.buyers.answer("n-43", { budget_max: 5000 })).budget_max, 5000);
});

test("each event is recorded once, whatever is lost on the way", async () => {
  const { client, wire } = connect();
  await client.listings.upsert({ external_id: "NE-1", ...CAR });
  const add = (event = {}) => client.events.add({ kind: "view", buyer: "n-44", external_id: "NE-1", ...event });
  const recorded = async () => (await client.buyers.get("n-44")).n_events;
  add();
  wire.lost = 2;
  await client.events.flush();
  assert.equal(await recorded(), 1);
  add();
  wire.faults = [1, 2, 3].map(() => new TypeError("away"));
  await assert.rejects(client.events.flush(), NoAnswer);
  assert.equal(client.events.unsent.length, 1);
  add();
  await client.close();
  assert.deepEqual([client.events.unsent, await recorded()], [[], 3]);
  assert.throws(() => add(), ForecourtError);
});

test("one event that is wrong keeps no other from being recorded", async () => {
  const refused = [];
  const { client } = connect({ queue: { seconds: 3600, atOnce: 2, onRefused: (event, fields) => refused.push(Object.keys(fields)) } });
  await client.listings.upsert({ external_id: "NW-1", ...CAR });
  for (const event of [{}, { kind: "no such kind" }, { position: 0 }, {}, {}]) {
    client.events.add({ kind: "view", buyer: "n-45", external_id: "NW-1", ...event });
  }
  await client.events.flush();
  assert.deepEqual([refused, (await client.buyers.get("n-45")).n_events], [[["kind"], ["position"]], 3]);
});

test("events are sent in the background", async () => {
  const { client } = connect({ queue: { seconds: 0.02 } });
  await client.listings.upsert({ external_id: "NG-1", ...CAR });
  client.events.add({ kind: "view", buyer: "n-46", external_id: "NG-1" });
  for (let n = 0; n < 200 && client.events.unsent.length; n += 1) await new Promise((done) => setTimeout(done, 20));
  assert.equal((await client.buyers.get("n-46")).n_events, 1);
});

test("what may pass is asked again, and the rest is not", async () => {
  for (const [status, asked] of [[400, 1], [401, 1], [404, 1], [409, 1], [429, 3], [500, 1], [502, 3], [503, 3], [504, 3]]) {
    const { client, wire } = connect();
    wire.faults = Array.from({ length: 9 }, () => answer(status));
    await assert.rejects(client.search.cars(), (error) => error instanceof ApiError && error.status === status && error.code === "error");
    assert.equal(wire.asked.length, asked, String(status));
  }
  const { client, wire } = connect();
  wire.faults = [answer(429, { "Retry-After": "3600" })];
  await assert.rejects(client.search.cars(), { status: 429, retryAfter: 3600 });
  wire.faults = [answer(503), new TypeError("away")];
  assert.ok((await client.search.cars()).count >= 0);
});

test("errors have the code and fields of the API", async () => {
  const { client } = connect();
  await assert.rejects(client.listings.get({ external_id: "none" }), { name: "ApiError", code: "not_found", status: 404 });
  await assert.rejects(client.search.cars({ min_year: "new" }), (error) => "min_year" in error.fields && error.requestId !== "");
  await assert.rejects(connect({ apiKey: "wrong" }).client.search.cars(), { code: "not_authenticated" });
  await assert.rejects(async () => client.buyers.get(".."), RangeError);
});

test("a message of a webhook is known by its signature", async () => {
  const key = randomBytes(32);
  const secret = `whsec_${key.toString("base64")}`;
  const body = JSON.stringify({ id: "msg_1", type: "listing.sold", timestamp: "…", data: { x: "ü" } });
  const sign = (text) => `v1,${createHmac("sha256", key).update(`msg_1.1000.${text}`).digest("base64")}`;
  const headers = { "Webhook-Id": "msg_1", "webhook-timestamp": "1000", "webhook-signature": `v1,bm90 ${sign(body)}` };
  const other = `whsec_${randomBytes(32).toString("base64")}`;
  for (const right of [{}, { secret: [other, secret] }, { headers: new Headers(headers) }, { body: new TextEncoder().encode(body) }]) {
    assert.equal((await verifyWebhook({ secret, headers, body, now: 1000, ...right })).data.x, "ü");
  }
  for (const wrong of [
    { secret: other }, { body: `${body} ` }, { now: 1301 }, { now: 699 }, { headers: {} },
    { headers: { ...headers, "Webhook-Id": "msg_2" } }, { headers: { ...headers, "webhook-signature": "v1,%" } },
  ]) {
    await assert.rejects(verifyWebhook({ secret, headers, body, now: 1000, ...wrong }), WebhookRefused);
  }
});
