-- The first half of the page's script: what is recorded, unpacked into arrays by worker, and
-- questions about an interval of time that take a few steps however many items there are.
return [==[
"use strict";
const OUTCOMES = ["done", "failed", "timeout", "lost", "cancelled", "tasks"], TASKS = 5;

function unpackBase64(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// Numbers of seven bits a byte, the lowest first.
class Numbers {
  constructor(text) {
    this.bytes = unpackBase64(text);
    this.at = 0;
  }
  get more() {
    return this.at < this.bytes.length;
  }
  byte() {
    return this.bytes[this.at++];
  }
  plain() {
    let n = 0, unit = 1;
    for (;;) {
      const byte = this.bytes[this.at++];
      n += (byte & 127) * unit;
      if (byte < 128) return n;
      unit *= 128;
    }
  }
  signed() {
    const n = this.plain();
    return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
  }
}

// How many of the sorted values are below x (or at most x, where `including`).
function countBelow(values, x, including) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < x || (including && values[middle] === x)) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The runs of items by number, times in nanoseconds since the record began. Each is a head, whose
// flags say what follows it: what differs from the one before.
const ATTEMPT = 8, LIFE = 16, CALL = 32, INDEX = 64, GAP_BEFORE = 128;

function unpackItems(data) {
  const n = data.items, numbers = new Numbers(data.stream || "");
  const items = {
    count: n, outcome: new Uint8Array(n), attempt: new Uint32Array(n), life: new Uint32Array(n),
    call: new Uint32Array(n), index: new Float64Array(n),
    from: new Float64Array(n), to: new Float64Array(n),
  };
  const ended = new Float64Array((data.lives || []).length);
  let life = 0, call = 0, index = 0;
  for (let i = 0; i < n; i++) {
    const head = numbers.byte();
    items.outcome[i] = head & 7;
    items.attempt[i] = head & ATTEMPT ? numbers.plain() : 1;
    if (head & LIFE) life = numbers.plain();
    if (head & CALL) call += numbers.signed();
    index += 1 + (head & INDEX ? numbers.signed() : 0);
    items.life[i] = life;
    items.call[i] = call;
    items.index[i] = index;
    items.from[i] = ended[life] + (head & GAP_BEFORE ? numbers.signed() : 0);
    items.to[i] = ended[life] = items.from[i] + numbers.plain();
  }
  return items;
}

// Behind them what is known of the time before anything was recorded: some tasks of a worker
// together, which have a share of their time and a number of items.
function withSpans(items, spans, lives) {
  const n = items.count, all = { count: n + spans.length, share: new Float64Array(spans.length) };
  for (const name of ["outcome", "attempt", "life", "call", "index", "from", "to"]) {
    all[name] = new items[name].constructor(all.count);
    all[name].set(items[name]);
  }
  spans.forEach(([seat, pid, from, to, busy, some], i) => {
    all.outcome[n + i] = TASKS;
    all.life[n + i] = lives.push([seat, pid, null, null]) - 1;
    all.index[n + i] = some;
    all.from[n + i] = from;
    all.to[n + i] = to;
    all.share[i] = busy / Math.max(1, to - from);
  });
  return all;
}

// What one worker did, in order of time.
class Lane {
  constructor(seat, items, numbers) {
    const n = numbers.length;
    this.seat = seat;
    this.name = seat < 0 ? "unknown" : "PoolWorker-" + (seat + 1);
    this.item = Uint32Array.from(numbers).sort((a, b) => items.from[a] - items.from[b] || a - b);
    this.from = new Float64Array(n);
    this.to = new Float64Array(n);
    this.share = new Float64Array(n); // of its time that is work
    this.busy = new Float64Array(n + 1); // nanoseconds, of the first so many
    const odd = [];
    for (let i = 0; i < n; i++) {
      const k = this.item[i];
      this.from[i] = Math.max(items.from[k], i > 0 ? this.to[i - 1] : -Infinity);
      this.to[i] = Math.max(items.to[k], this.from[i]);
      this.share[i] = items.outcome[k] === TASKS ? items.share[k - items.count + items.share.length] : 1;
      this.busy[i + 1] = this.busy[i] + (this.to[i] - this.from[i]) * this.share[i];
      if (items.outcome[k] !== 0 && items.outcome[k] !== TASKS) odd.push(i);
    }
    this.odd = Uint32Array.from(odd); // those that were not done
    this.oddTo = Float64Array.from(odd, i => this.to[i]);
  }
  // The nanoseconds of work up to t.
  busyUntil(t) {
    const i = countBelow(this.from, t, false);
    return this.busy[i] - (i > 0 ? Math.max(0, this.to[i - 1] - t) * this.share[i - 1] : 0);
  }
}

function makeLanes(items, lives) {
  const numbers = new Map();
  for (let i = 0; i < items.count; i++) {
    const seat = lives[items.life[i]][0];
    if (!numbers.has(seat)) numbers.set(seat, []);
    numbers.get(seat).push(i);
  }
  return [...numbers.keys()].sort((a, b) => a - b)
    .map(seat => new Lane(seat, items, numbers.get(seat)));
}

// Instants, and for any time how many of them have passed, and the sum of how long ago.
class Instants {
  constructor(times) {
    this.times = Float64Array.from(times).sort();
    this.sums = new Float64Array(this.times.length + 1);
    for (let i = 0; i < this.times.length; i++) this.sums[i + 1] = this.sums[i] + this.times[i];
  }
  passed(t) {
    return countBelow(this.times, t, true);
  }
  area(t) {
    const n = this.passed(t);
    return n * t - this.sums[n];
  }
}

const FINE = 50000; // nanoseconds: below it an area is too coarse a number to divide

class Model {
  constructor(data) {
    this.data = data;
    this.lives = data.lives || [];
    this.spans = data.spans.length;
    this.items = withSpans(unpackItems(data), data.spans, this.lives);
    this.lanes = makeLanes(this.items, this.lives);
    this.begun = new Instants(this.items.from.subarray(0, data.items));
    this.ended = new Instants(this.items.to.subarray(0, data.items));
    this.workers = Math.max(data.processes || 0, this.lanes.filter(l => l.seat >= 0).length, 1);
    this.unpackCalls();
    this.unpackWaits();
    this.unpackTexts();
    this.summarize();
  }
  unpackCalls() {
    const numbers = new Numbers(this.data.calls || "");
    this.calls = [null];
    while (numbers.more) {
      const name = this.data.names[numbers.plain() - 1];
      this.calls.push({ name, kind: this.data.kinds[numbers.plain()] });
    }
    for (const [call, floats, first, step] of this.data.recipes || []) {
      this.calls[call].recipe = floats ? [Number(first), Number(step)] : [BigInt(first), BigInt(step)];
    }
  }
  unpackWaits() {
    const numbers = new Numbers(this.data.waits || "");
    const when = [], handed = [];
    let t = 0, n = 0;
    while (numbers.more) {
      t += numbers.signed();
      n += numbers.signed();
      when.push(t);
      handed.push(n);
    }
    this.when = Float64Array.from(when);
    this.handed = Float64Array.from(handed);
  }
  unpackTexts() {
    const map = pair => new Map((pair ? pair[0] : []).map((number, i) => [number, pair[1][i]]));
    this.arguments = map(this.data.arguments);
    this.messages = map(this.data.messages);
  }
  summarize() {
    const items = this.items;
    this.counts = OUTCOMES.map(() => 0);
    this.first = Infinity;
    this.last = 0;
    this.work = 0;
    this.again = 0;
    for (let i = 0; i < items.count; i++) {
      this.counts[items.outcome[i]]++;
      this.again += items.attempt[i] > 1 ? 1 : 0;
      if (items.from[i] < this.first) this.first = items.from[i];
      if (items.to[i] > this.last) this.last = items.to[i];
    }
    for (const lane of this.lanes) this.work += lane.busy[lane.item.length];
    if (this.when.length > 0) this.first = Math.min(this.first, this.when[0]);
    if (items.count === 0) this.first = 0;
    this.last = Math.max(this.last, this.first + 1);
  }
  // Items that wait for a worker at t.
  depth(t) {
    const i = countBelow(this.when, t, true);
    return Math.max(0, (i > 0 ? this.handed[i - 1] : 0) - this.begun.passed(t));
  }
  // The share of all workers that is at work, between a and b.
  share(a, b) {
    let busy = 0;
    if (this.spans > 0) {
      for (const lane of this.lanes) busy += (lane.busyUntil(b) - lane.busyUntil(a)) / (b - a);
    } else if (b - a < FINE) {
      busy = this.begun.passed((a + b) / 2) - this.ended.passed((a + b) / 2);
    } else {
      busy = (this.begun.area(b) - this.ended.area(b) - this.begun.area(a) + this.ended.area(a)) / (b - a);
    }
    return Math.min(1, Math.max(0, busy / this.workers));
  }
  argumentsOf(number) {
    if (this.items.outcome[number] === TASKS) return this.items.index[number].toLocaleString("en") + " items";
    const recipe = this.calls[this.items.call[number]].recipe;
    if (!recipe) return this.arguments.get(number);
    const index = this.items.index[number];
    if (typeof recipe[0] === "bigint") {
      return String(BigInt.asIntN(64, recipe[0] + BigInt(index - 1) * recipe[1]));
    }
    return String(recipe[0] + (index - 1) * recipe[1]);
  }
  slowest(most) {
    const items = this.items, found = [];
    const length = k => items.to[k] - items.from[k];
    let least = -1;
    for (let i = 0; i < items.count - this.spans; i++) {
      if (found.length === most && length(i) <= least) continue;
      found.push(i);
      found.sort((a, b) => length(b) - length(a));
      if (found.length > most) found.pop();
      if (found.length === most) least = length(found[most - 1]);
    }
    return found;
  }
}

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"], [1, "ns"]];

// A duration in words.
function showTime(nanoseconds) {
  const size = Math.abs(nanoseconds);
  if (size >= 60e9) {
    const seconds = Math.round(size / 1e9);
    const sign = nanoseconds < 0 ? "-" : "";
    return sign + (seconds >= 3600 ? Math.floor(seconds / 3600) + " h " : "")
      + Math.floor(seconds % 3600 / 60) + " min " + seconds % 60 + " s";
  }
  const [unit, name] = UNITS.find(([least]) => size >= least) || UNITS[3];
  return Number((nanoseconds / unit).toPrecision(4)) + " " + name;
}
]==]
