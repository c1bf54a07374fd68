// A second verifier, written from the protocol alone and with nothing of the Python library:
// strict JSON, RFC 8785, PAE, Ed25519, keysets, leases, last-known-good files, secrets.
// It shows that the signed bytes are what the document says and not what one program happens to do.
//
//   node verify.mjs vectors FOLDER    every row of FOLDER/index.json: one line "expected found"
//   node verify.mjs updates           one JSON object per line of stdin: {payload, topic, service,
//                                     keys}, payload in base64; one code per line

import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}
const refuse = (code) => {
  throw new Refused(code);
};
const need = (condition, code) => condition || refuse(code);

// --- the strict loader: objects become Maps, so that no key is special ---

const MAX = Number.MAX_SAFE_INTEGER;

function load(bytes, limit, depth = 16) {
  need(bytes.length <= limit, "TOO_LARGE");
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    refuse("BAD_UTF8");
  }
  need(text[0] !== "\ufeff", "BAD_UTF8");
  const reader = new Reader(text, depth);
  reader.space();
  const value = reader.value(0);
  reader.space();
  need(reader.at === text.length, "BAD_JSON");
  return value;
}

class Reader {
  constructor(text, depth) {
    this.text = text;
    this.depth = depth;
    this.at = 0;
  }
  match(sticky) {
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.text);
    if (found === null) return null;
    this.at = sticky.lastIndex;
    return found[0];
  }
  space() {
    this.match(/[ \t\n\r]*/y);
  }
  take(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }
  value(level) {
    const first = this.text[this.at];
    if (first === "{") return this.object(level + 1);
    if (first === "[") return this.array(level + 1);
    if (first === '"') return this.string();
    if (this.match(/true/y)) return true;
    if (this.match(/false/y)) return false;
    if (this.match(/null/y)) return null;
    if (this.match(/NaN|-?Infinity/y)) refuse("NON_FINITE");
    return this.number();
  }
  object(level) {
    need(level <= this.depth, "DEPTH");
    const result = new Map();
    this.at += 1;
    this.space();
    if (this.take("}")) return result;
    do {
      this.space();
      need(this.text[this.at] === '"', "BAD_JSON");
      const key = this.string();
      this.space();
      need(this.take(":"), "BAD_JSON");
      this.space();
      need(!result.has(key), "DUPLICATE_KEY");
      const start = this.at;
      result.set(key, this.value(level));
      if (key === "version") result.versionText = this.text.slice(start, this.at);
      this.space();
    } while (this.take(","));
    need(this.take("}"), "BAD_JSON");
    return result;
  }
  array(level) {
    need(level <= this.depth, "DEPTH");
    const result = [];
    this.at += 1;
    this.space();
    if (this.take("]")) return result;
    do {
      this.space();
      result.push(this.value(level));
      this.space();
    } while (this.take(","));
    need(this.take("]"), "BAD_JSON");
    return result;
  }
  string() {
    const form = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    const found = this.match(form);
    need(found !== null, "BAD_JSON");
    const value = JSON.parse(found);
    need(value.isWellFormed(), "BAD_JSON");
    return value;
  }
  number() {
    const found = this.match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y);
    need(found !== null, "BAD_JSON");
    if (/^-?[0-9]+$/.test(found)) {
      const digits = found.replace("-", "");
      need(digits.length <= 16 && BigInt(digits) <= BigInt(MAX), "NUMBER_RANGE");
    }
    const value = Number(found);
    need(Number.isFinite(value), "NON_FINITE");
    need(Math.abs(value) <= MAX, "NUMBER_RANGE");
    return value;
  }
}

// --- RFC 8785, PAE, hashes ---

function canonical(value) {
  if (value instanceof Map) {
    const keys = [...value.keys()].sort(); // JavaScript compares UTF-16 code units
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value.get(key))}`).join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "number") return String(value);
  return JSON.stringify(value);
}

const jcs = (value) => Buffer.from(canonical(value), "utf8");
const without = (map, name) => new Map([...map].filter(([key]) => key !== name));
const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest("hex");
const same = (one, other) => canonical(one) === canonical(other);
const KIND = (name) => `application/vnd.parlour.${name}.v1+json`;

function pae(kind, body) {
  const head = `DSSEv1 ${Buffer.byteLength(kind)} ${kind} ${body.length} `;
  return Buffer.concat([Buffer.from(head), body]);
}

function base64(text, length) {
  if (typeof text !== "string") return null;
  const raw = Buffer.from(text, "base64");
  return raw.toString("base64") === text && (length === undefined || raw.length === length)
    ? raw
    : null;
}

// --- Ed25519: a key of small order is refused by doing the arithmetic ---

const P = 2n ** 255n - 19n;
const mod = (a) => ((a % P) + P) % P;
function power(base, exponent) {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = mod(b * b)) {
    if (e & 1n) result = mod(result * b);
  }
  return result;
}
const inverse = (a) => power(a, P - 2n);
const D = mod(-121665n * inverse(121666n));

function smallOrder(raw) {
  let y = BigInt(`0x${Buffer.from(raw).reverse().toString("hex")}`) & (2n ** 255n - 1n);
  if (y >= P) return true; // a second spelling of a point
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x) !== square) x = mod(x * power(2n, (P - 1n) / 4n));
  if (mod(x * x) !== square) return false; // no point at all: it verifies nothing
  for (let i = 0; i < 3; i += 1) {
    const t = mod(D * x * x * y * y);
    [x, y] = [
      mod(2n * x * y * inverse(1n + t)),
      mod((y * y + x * x) * inverse(1n - t)),
    ];
  }
  return x === 0n && y === 1n;
}

const keys = new Map();
function publicKey(hex) {
  if (!keys.has(hex)) {
    const raw = Buffer.from(hex, "hex");
    need(raw.length === 32 && !smallOrder(raw), "BAD_KEY");
    const jwk = { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") };
    const key = crypto.createPublicKey({ key: jwk, format: "jwk" });
    keys.set(hex, { kid: sha256(raw).slice(0, 16), key });
  }
  return keys.get(hex);
}

function signedBy(trusted, kind, body, signature) {
  const signed = pae(KIND(kind), body);
  return trusted.find(({ key }) => crypto.verify(null, signed, key, signature));
}

// --- updates ---

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const KEY = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/;
const EPOCH = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const MOMENT = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{6}Z$/;

const text = (value, form) => typeof value === "string" && form.test(value);

function isMoment(value) {
  const found = typeof value === "string" ? MOMENT.exec(value) : null;
  if (found === null) return false;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return (
    year > 0 && day > 0 && day <= (days[month - 1] ?? 0) && hour < 24 && minute < 60 && second < 60
  );
}

function unreserved(value) {
  if (Array.isArray(value)) return value.every(unreserved);
  if (!(value instanceof Map)) return true;
  const reserved = [...value.keys()].some((key) => key.startsWith("$"));
  if (reserved && !(value.size === 1 && value.has("$secret"))) return false;
  return [...value.values()].every(unreserved);
}

function fields(map, names, code) {
  need(map instanceof Map && map.size === names.length && names.every((n) => map.has(n)), code);
}

const SEVEN = ["version", "service", "config", "checksum", "config_epoch", "issued_at", "signature"];

function update(bytes, trusted) {
  const message = load(bytes, 262144);
  // 1 and 1.0 are one value in JavaScript; the text tells them apart
  need(message instanceof Map && message.versionText === "1", "BAD_VERSION");
  fields(message, SEVEN, "BAD_FIELDS");
  need(text(message.get("service"), NAME), "BAD_FIELD");
  need(text(message.get("checksum"), /^[0-9a-f]{64}$/), "BAD_FIELD");
  need(text(message.get("config_epoch"), EPOCH), "BAD_FIELD");
  need(isMoment(message.get("issued_at")), "BAD_FIELD");
  const config = message.get("config");
  need(config instanceof Map && [...config.keys()].every((key) => KEY.test(key)), "BAD_FIELD");
  need([...config.values()].every(unreserved), "BAD_FIELD");
  need(typeof message.get("signature") === "string", "BAD_FIELD");
  const signature = base64(message.get("signature"), 64) ?? refuse("BAD_ENCODING");
  const body = jcs(without(message, "signature"));
  need(signedBy(trusted, "config-update", body, signature), "BAD_SIGNATURE");
  need(sha256(jcs(config)) === message.get("checksum"), "BAD_CHECKSUM");
  return message;
}

function forService(bytes, trusted, service, topic) {
  const message = update(bytes, trusted);
  need(message.get("service") === service && topic.split("/").at(-1) === service, "WRONG_SERVICE");
  return message;
}

// --- keysets ---

function listedKey(entry) {
  const raw = base64(entry.get("pub"), 32) ?? refuse("BAD_ENCODING");
  const key = publicKey(raw.toString("hex"));
  need(key.kid === entry.get("kid"), "KID_MISMATCH");
  return key;
}

function readKeyset(bytes) {
  const document = load(bytes, 16384);
  const names = ["keyset_version", "root", "config_keys", "revoked", "reset_floor_for"];
  fields(document, [...names, "signatures"], "BAD_FIELD");
  fields(document.get("root"), ["threshold", "keys"], "BAD_FIELD");
  for (const entry of document.get("root").get("keys")) fields(entry, ["kid", "pub"], "BAD_FIELD");
  for (const entry of document.get("config_keys")) {
    fields(entry, ["kid", "pub", "status", "not_after"], "BAD_FIELD");
    listedKey(entry);
  }
  return {
    version: document.get("keyset_version"),
    roots: document.get("root").get("keys").map(listedKey),
    threshold: document.get("root").get("threshold"),
    signatures: document.get("signatures"),
    body: jcs(without(document, "signatures")),
  };
}

function enough(keyset, roots, threshold) {
  const signers = new Set();
  for (const entry of keyset.signatures) {
    const candidates = roots.filter(({ kid }) => kid === entry.get("kid"));
    const signature = base64(entry.get("sig"), 64) ?? refuse("BAD_ENCODING");
    const signer = signedBy(candidates, "keyset", keyset.body, signature);
    if (signer) signers.add(signer.kid);
  }
  need(signers.size >= threshold, "KEYSET_THRESHOLD");
}

function keyset(bytes, row, folder) {
  const next = readKeyset(bytes);
  if (row.after === null) {
    enough(next, row.roots.map(publicKey), row.threshold);
  } else {
    const current = readKeyset(fs.readFileSync(path.join(folder, row.after)));
    need(next.version >= current.version, "KEYSET_OLD");
    need(next.version === current.version + 1, "KEYSET_GAP");
    enough(next, current.roots, current.threshold);
  }
  enough(next, next.roots, next.threshold);
}

// --- leases, last-known-good files, secrets ---

function lease(bytes, row) {
  const message = load(bytes, 1024);
  const names = ["instance", "config_epoch", "boot_id", "lease_seq", "ttl_s", "sent_at"];
  fields(message, [...names, "signature"], "BAD_FIELD");
  const signature = base64(message.get("signature"), 64) ?? refuse("BAD_ENCODING");
  const body = jcs(without(message, "signature"));
  need(signedBy(row.keys.map(publicKey), "lease", body, signature), "BAD_SIGNATURE");
}

const derived = (hex, info) =>
  Buffer.from(crypto.hkdfSync("sha256", Buffer.from(hex, "hex"), "", info, 32));

function lkg(bytes, row) {
  try {
    const whole = load(bytes, 268435456, 18);
    fields(whole, ["lkg", "update", "state", "mac"], "FORM");
    const inner = whole.get("lkg");
    fields(inner, ["payload", "config_epoch", "generated_at", "signature", "algorithm"], "FORM");
    need(inner.get("algorithm") === "hmac-sha256", "FORM");
    const macs = row.hmac.map((hex) => derived(hex, `lkg/v1/${row.service ?? "config-manager"}`));
    for (const [map, name] of [[whole, "mac"], [inner, "signature"]]) {
      const signed = pae(KIND("lkg"), jcs(without(map, name)));
      const fits = (key) => crypto.createHmac("sha256", key).update(signed).digest("hex") === map.get(name);
      need(macs.some(fits), "MAC");
    }
    if (row.service === null) {
      need(whole.get("update") === null && whole.get("state") === null, "FORM");
      return;
    }
    const message = update(Buffer.from(whole.get("update")), row.keys.map(publicKey));
    need(message.get("service") === row.service, "SERVICE");
    need(same(inner.get("payload").get(row.service), message.get("config")), "PAYLOAD");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse("LKG_BAD");
  }
}

function secret(bytes, row) {
  try {
    const inner = load(bytes, 65536).get("$secret");
    fields(inner, ["kid", "nonce", "ct"], "FORM");
    const nonce = base64(inner.get("nonce"), 12) ?? refuse("FORM");
    const sealed = base64(inner.get("ct")) ?? refuse("FORM");
    const key = derived(row.master, `svc/v1/${row.service}`);
    const cipher = crypto.createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
    cipher.setAAD(jcs([row.service, row.name, inner.get("kid")]));
    cipher.setAuthTag(sealed.subarray(-16));
    const clear = Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
    need(clear.toString() === row.value, "VALUE");
  } catch {
    refuse("SECRET_UNREADABLE");
  }
}

function sealing(given) {
  need(derived(given.master, `svc/v1/${given.service}`).toString("hex") === given.service_key, "KEY");
  need(derived(given.hmac, "lkg/v1/stt-worker").toString("hex") === given.lkg_key, "KEY");
  const mask = derived(given.master, "mask/v1");
  need(mask.toString("hex") === given.mask_key, "KEY");
  const named = jcs([given.service, given.name, given.value]);
  const tag = crypto.createHmac("sha256", mask).update(named).digest("hex").slice(0, 16);
  need(tag === given.mask_tag, "TAG");
}

// --- the two ways to call it ---

function codeOf(work) {
  try {
    work();
    return "OK";
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

function vectors(folder) {
  const index = JSON.parse(fs.readFileSync(path.join(folder, "index.json"), "utf8"));
  console.log(`OK ${codeOf(() => sealing(index.sealing))} sealing`);
  const kinds = {
    update: (bytes, row) => forService(bytes, row.keys.map(publicKey), row.service, row.topic),
    keyset: (bytes, row) => keyset(bytes, row, folder),
    lease,
    lkg,
    secret,
  };
  for (const row of index.vectors) {
    const bytes = fs.readFileSync(path.join(folder, row.file));
    const found =
      bytes.length === row.bytes && sha256(bytes) === row.sha256
        ? codeOf(() => kinds[row.kind](bytes, row))
        : "OTHER_BYTES";
    console.log(`${row.result} ${found} ${row.file}`);
  }
}

async function updates() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { payload, topic, service, keys: trusted } = JSON.parse(line);
    const bytes = Buffer.from(payload, "base64");
    console.log(codeOf(() => forService(bytes, trusted.map(publicKey), service, topic)));
  }
}

if (process.argv[2] === "vectors") vectors(process.argv[3]);
else await updates();
