-- The second half of the page's script: draws the model on a canvas, and answers wheel, pointer
-- and keys. A frame takes a number of steps that grows with the pixels, not with the items.
return [==[
const LEFT = 104, CHART = 46, GAP = 8, AXIS = 22, LANE_MOST = 40, LANE_LEAST = 12;
const ZOOM = 1.25, NEAREST = 20; // nanoseconds that are the least to be shown

class View {
  constructor(model, canvas) {
    this.model = model;
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.scroll = 0;
    this.showAll();
  }
  showAll() {
    const pad = (this.model.last - this.model.first) * 0.01;
    this.t0 = this.model.first - pad;
    this.t1 = this.model.last + pad;
  }
  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.readColours();
  }
  readColours() {
    const style = getComputedStyle(document.documentElement);
    this.colour = name => style.getPropertyValue("--" + name).trim();
    this.colours = OUTCOMES.map(name => this.colour(name));
    this.palette = {};
    for (const name of ["panel", "ink", "soft", "line", "depth", "busy", "lane", "mark"]) {
      this.palette[name] = this.colour(name);
    }
  }
  // Pixels and time.
  get plot() {
    return Math.max(1, this.width - LEFT - 10);
  }
  x(t) {
    return LEFT + (t - this.t0) / (this.t1 - this.t0) * this.plot;
  }
  time(x) {
    return this.t0 + (x - LEFT) / this.plot * (this.t1 - this.t0);
  }
  get lanesTop() {
    return GAP + 2 * (CHART + GAP) + AXIS;
  }
  get laneHeight() {
    const room = (this.height - this.lanesTop - GAP) / Math.max(1, this.model.lanes.length);
    return Math.max(LANE_LEAST, Math.min(LANE_MOST, Math.floor(room)));
  }
  clampScroll() {
    const all = this.model.lanes.length * this.laneHeight + GAP;
    this.scroll = Math.max(0, Math.min(this.scroll, all - (this.height - this.lanesTop)));
  }
  // Moves.
  zoom(factor, x) {
    const at = this.time(x), whole = this.model.last - this.model.first;
    const span = Math.min(whole * 4, Math.max(NEAREST, (this.t1 - this.t0) * factor));
    const share = (at - this.t0) / (this.t1 - this.t0);
    this.t0 = at - share * span;
    this.t1 = this.t0 + span;
    this.keepNear();
  }
  pan(pixels) {
    const t = pixels / this.plot * (this.t1 - this.t0);
    this.t0 += t;
    this.t1 += t;
    this.keepNear();
  }
  // Something of the record stays in sight.
  keepNear() {
    const span = this.t1 - this.t0;
    const late = Math.max(0, this.t0 - this.model.last + span * 0.1);
    const early = Math.max(0, this.model.first - this.t1 + span * 0.1);
    this.t0 += early - late;
    this.t1 = this.t0 + span;
  }
  showItem(number) {
    const items = this.model.items, length = Math.max(NEAREST, items.to[number] - items.from[number]);
    this.t0 = items.from[number] - length;
    this.t1 = items.to[number] + length;
    const lane = this.model.lanes.findIndex(l => l.seat === this.model.lives[items.life[number]][0]);
    this.scroll = lane * this.laneHeight - (this.height - this.lanesTop) / 2;
  }

  // ---- drawing ----

  draw() {
    const c = this.context;
    this.bars = 0;
    this.filledLanes = 0;
    this.clampScroll();
    c.fillStyle = this.palette.panel;
    c.fillRect(0, 0, this.width, this.height);
    c.font = "12px system-ui, sans-serif";
    c.textBaseline = "middle";
    const ticks = this.ticks();
    this.drawLanes(ticks);
    c.fillStyle = this.palette.panel;
    c.fillRect(0, 0, this.width, this.lanesTop);
    this.drawDepth(GAP);
    this.drawShare(GAP * 2 + CHART);
    this.drawAxis(GAP * 2 + CHART * 2, ticks);
  }
  label(text, y) {
    this.context.fillStyle = this.palette.soft;
    this.context.textAlign = "right";
    this.context.fillText(text, LEFT - 8, y);
  }
  // A filled curve of `value(a, b)` for each column of pixels, between 0 and `most`.
  drawCurve(top, colour, most, value) {
    const c = this.context, bottom = top + CHART, columns = Math.ceil(this.plot);
    c.beginPath();
    c.moveTo(LEFT, bottom);
    let a = this.time(LEFT);
    for (let i = 0; i < columns; i++) {
      const b = this.time(LEFT + i + 1);
      const y = bottom - Math.min(1, value(a, b) / most) * (CHART - 2);
      c.lineTo(LEFT + i, y);
      c.lineTo(LEFT + i + 1, y);
      a = b;
    }
    c.lineTo(LEFT + columns, bottom);
    c.closePath();
    c.globalAlpha = 0.75;
    c.fillStyle = colour;
    c.fill();
    c.globalAlpha = 1;
    c.fillStyle = this.palette.line;
    c.fillRect(LEFT, bottom, this.plot, 1);
  }
  drawDepth(top) {
    const columns = Math.ceil(this.plot), depths = new Float64Array(columns + 1);
    let most = 1;
    for (let i = 0; i <= columns; i++) {
      depths[i] = this.model.depth(this.time(LEFT + i));
      if (depths[i] > most) most = depths[i];
    }
    let i = 0;
    this.drawCurve(top, this.palette.depth, most, () => {
      const value = Math.max(depths[i], depths[i + 1]);
      i++;
      return value;
    });
    this.label("waiting", top + CHART / 2 - 7);
    this.label("max " + most.toLocaleString("en"), top + CHART / 2 + 8);
  }
  drawShare(top) {
    this.drawCurve(top, this.palette.busy, 1, (a, b) => this.model.share(a, b));
    const from = Math.max(this.t0, this.model.first), to = Math.min(this.t1, this.model.last);
    this.label("busy", top + CHART / 2 - 7);
    if (to > from) this.label(Math.round(100 * this.meanShare(from, to)) + " %", top + CHART / 2 + 8);
  }
  meanShare(from, to) {
    let busy = 0;
    for (const lane of this.model.lanes) busy += lane.busyUntil(to) - lane.busyUntil(from);
    return Math.min(1, busy / (to - from) / this.model.workers);
  }
  // [place, words] of round times, 90 pixels or more from one another.
  ticks() {
    const least = (this.t1 - this.t0) / this.plot * 90, found = [];
    let step = Math.pow(10, Math.floor(Math.log10(least)));
    step *= least <= step ? 1 : least <= 2 * step ? 2 : least <= 5 * step ? 5 : 10;
    const first = this.model.first;
    for (let k = Math.ceil((this.t0 - first) / step); first + k * step <= this.t1; k++) {
      const x = this.x(first + k * step);
      if (x >= LEFT) found.push([Math.round(x), k === 0 ? "0" : showTime(k * step)]);
    }
    return found;
  }
  drawAxis(top, ticks) {
    const c = this.context;
    c.textAlign = "center";
    for (const [x, words] of ticks) {
      c.fillStyle = this.palette.line;
      c.fillRect(x, top + 1, 1, 4);
      c.fillStyle = this.palette.soft;
      c.fillText(words, x, top + 13);
    }
  }
  drawLanes(ticks) {
    const c = this.context, height = this.laneHeight, lanes = this.model.lanes;
    const first = Math.floor(this.scroll / height);
    const y = i => this.lanesTop + i * height - this.scroll;
    const last = Math.min(lanes.length, first + Math.ceil((this.height - y(first)) / height));
    c.fillStyle = this.palette.lane;
    for (let i = first; i < last; i++) c.fillRect(LEFT, y(i) + 1, this.plot, height - 3);
    c.fillStyle = this.palette.line;
    for (const [x] of ticks) c.fillRect(x, this.lanesTop, 1, this.height - this.lanesTop);
    for (let i = first; i < last; i++) this.drawLane(lanes[i], y(i) + 1, height - 3);
  }
  drawLane(lane, y, height) {
    const c = this.context, bars = this.bars;
    const low = countBelow(lane.to, this.t0, false), high = countBelow(lane.from, this.t1, false);
    c.save();
    c.beginPath();
    c.rect(LEFT, y, this.plot, height);
    c.clip();
    if (high - low <= 2 * this.plot) this.drawBars(lane, low, high, y, height);
    else this.drawColumns(lane, y, height);
    this.drawOdd(lane, y, height);
    this.drawDeaths(lane, y, height);
    c.restore();
    this.label(lane.name, y + height / 2);
    if (this.bars > bars) this.filledLanes++;
  }
  drawBars(lane, low, high, y, height) {
    const c = this.context;
    c.fillStyle = this.colours[0];
    for (let i = low; i < high; i++) {
      const outcome = this.model.items.outcome[lane.item[i]];
      if (outcome !== 0 && outcome !== TASKS) continue;
      const x = this.x(lane.from[i]), width = this.x(lane.to[i]) - x;
      c.globalAlpha = 0.2 + 0.8 * lane.share[i];
      c.fillRect(x, y, Math.max(1, width > 4 ? width - 1 : width), height);
      this.bars++;
    }
    c.globalAlpha = 1;
    for (let i = low; i < high; i++) this.drawText(lane, i, y, height);
  }
  // The arguments, where there is room for some letters of them; else the item's number.
  drawText(lane, i, y, height) {
    const c = this.context, x = Math.max(LEFT, this.x(lane.from[i]));
    const width = Math.min(this.x(lane.to[i]), LEFT + this.plot) - x;
    const letters = Math.floor((width - 10) / 6.4);
    if (letters < 2 || height < 11) return;
    const tasks = this.model.items.outcome[lane.item[i]] === TASKS;
    const short = (tasks ? "" : "#") + this.model.items.index[lane.item[i]];
    let text = this.model.argumentsOf(lane.item[i]) || short;
    if (text.length > letters) text = letters >= 14 ? text.slice(0, letters - 1) + "\u2026" : short;
    if (text.length > letters) return;
    c.textAlign = "left";
    c.fillStyle = this.palette.panel;
    c.fillText(text, x + 5, y + height / 2 + 1);
  }
  // Bars below a pixel: each column by the share of it that is work, equal neighbours as one.
  drawColumns(lane, y, height) {
    const c = this.context, columns = Math.ceil(this.plot), per = (this.t1 - this.t0) / this.plot;
    c.fillStyle = this.colours[0];
    let before = lane.busyUntil(this.time(LEFT)), level = 0, from = 0;
    for (let i = 0; i <= columns; i++) {
      const until = i < columns ? lane.busyUntil(this.time(LEFT + i + 1)) : before;
      const now = i < columns && until > before ? 1 + Math.min(7, Math.floor(8 * (until - before) / per)) : 0;
      before = until;
      if (now === level) continue;
      if (level > 0) {
        c.globalAlpha = 0.2 + level * 0.1;
        c.fillRect(LEFT + from, y, i - from, height);
        this.bars++;
      }
      level = now;
      from = i;
    }
    c.globalAlpha = 1;
  }
  // Those that were not done are seen however small they are: one a pixel.
  drawOdd(lane, y, height) {
    const c = this.context;
    let k = countBelow(lane.oddTo, this.t0, false);
    while (k < lane.odd.length) {
      const i = lane.odd[k], x = this.x(lane.from[i]);
      if (x > LEFT + this.plot) break;
      const width = Math.max(2, this.x(lane.to[i]) - x - (this.x(lane.to[i]) - x > 4 ? 1 : 0));
      c.fillStyle = this.colours[this.model.items.outcome[lane.item[i]]];
      c.fillRect(x, y, width, height);
      this.bars++;
      this.drawText(lane, i, y, height);
      k = Math.max(k + 1, countBelow(lane.oddTo, this.time(Math.max(x, LEFT) + 1), false));
    }
  }
  drawDeaths(lane, y, height) {
    const c = this.context;
    for (const [seat, , died] of this.model.lives) {
      if (seat !== lane.seat || died === null || died < this.t0 || died > this.t1) continue;
      const x = this.x(died), middle = y + height / 2;
      c.strokeStyle = this.palette.mark;
      c.lineWidth = 2;
      c.beginPath();
      c.moveTo(x - 4, middle - 4);
      c.lineTo(x + 4, middle + 4);
      c.moveTo(x + 4, middle - 4);
      c.lineTo(x - 4, middle + 4);
      c.stroke();
    }
  }

  // The number of the run at this place, -1: none. What was not done comes first.
  itemAt(x, y) {
    const lane = this.model.lanes[Math.floor((y - this.lanesTop + this.scroll) / this.laneHeight)];
    if (!lane || y < this.lanesTop || x < LEFT) return -1;
    const a = this.time(x - 2), b = this.time(x + 2), t = this.time(x);
    const k = countBelow(lane.oddTo, a, false);
    if (k < lane.odd.length && lane.from[lane.odd[k]] <= b) return lane.item[lane.odd[k]];
    const i = countBelow(lane.to, t, false);
    for (const j of [i, i - 1]) {
      if (j >= 0 && j < lane.item.length && lane.from[j] <= b && lane.to[j] >= a) return lane.item[j];
    }
    return -1;
  }
}
]==]
