-- The last part of the page's script: the words around the canvas, and what moves it.
return [==[
const get = id => document.getElementById(id);
const root = document.documentElement;
let errors = 0;
window.addEventListener("error", () => { root.dataset.errors = ++errors; });
root.dataset.errors = "0";

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function addTotal(what, value) {
  const item = element("li");
  item.append(element("span", what + " "), element("b", value));
  get("totals").append(item);
}

function writeHead(model) {
  const data = model.data, wall = model.last - model.first;
  addTotal(model.spans > 0 ? "runs of items recorded" : "runs of items", data.items.toLocaleString("en"));
  if (model.again > 0) addTotal("of them again", model.again.toLocaleString("en"));
  addTotal("wall time", showTime(wall));
  addTotal("work", showTime(model.work));
  addTotal("workers", String(model.workers));
  addTotal("busy", (100 * Math.min(1, model.work / wall / model.workers)).toFixed(1) + " %");
  addTotal("began", new Date(data.start * 1000).toLocaleString());
  OUTCOMES.forEach((name, i) => {
    if (model.counts[i] === 0 && (i > 1 || data.items === 0)) return;
    const item = element("li"), mark = element("i");
    mark.style.background = "var(--" + name + ")";
    item.append(mark, name + " ", element("b", model.counts[i].toLocaleString("en")));
    get("legend").append(item);
  });
  if (model.spans > 0) {
    get("note").textContent = "Of what was done before the first call of pool:timeline or pool:trace only "
      + "tasks are known, some of a worker together as one bar: to see each item, make that call before the work.";
  } else if (data.cut > 0) {
    get("note").textContent = "The record was full: " + data.cut.toLocaleString("en")
      + " runs of items that came later are not shown.";
  }
}

function whereOf(model, number) {
  const [seat, pid] = model.lives[model.items.life[number]];
  return (seat < 0 ? "unknown worker" : "PoolWorker-" + (seat + 1)) + (pid ? ", pid " + pid : "");
}

function writeSlowest(model, show) {
  const items = model.items;
  for (const number of model.slowest(12)) {
    const call = model.calls[items.call[number]], row = element("tr");
    row.append(element("td", showTime(items.to[number] - items.from[number]), "number"),
      element("td", String(items.index[number]), "number"), element("td", call.kind + " " + call.name),
      element("td", model.argumentsOf(number) || ""), element("td", whereOf(model, number)),
      element("td", OUTCOMES[items.outcome[number]]));
    row.addEventListener("click", () => show(number));
    get("slowest").append(row);
  }
}

function fillTip(model, number) {
  const items = model.items, tip = get("tip");
  const line = (what, text, code) => {
    if (text === undefined) return;
    const p = element("div");
    p.append(element("span", what + " ", "soft"), element(code ? "code" : "span", text));
    tip.append(p);
  };
  if (items.outcome[number] === TASKS) {
    const share = items.share[number - model.data.items];
    tip.replaceChildren(element("b", model.argumentsOf(number)));
    line("took", showTime(items.to[number] - items.from[number]));
    line("busy", (100 * share).toFixed(1) + " % of that");
    line("began at", showTime(items.from[number] - model.first));
    line("in", whereOf(model, number));
    return;
  }
  const call = model.calls[items.call[number]], life = model.lives[items.life[number]];
  tip.replaceChildren(element("b", "item " + items.index[number] + ": " + OUTCOMES[items.outcome[number]]));
  line("arguments", model.argumentsOf(number), true);
  line("message", model.messages.get(number));
  if (OUTCOMES[items.outcome[number]] === "lost" && life[3]) line("worker", life[3]);
  line("took", showTime(items.to[number] - items.from[number]));
  line("began at", showTime(items.from[number] - model.first));
  line("attempt", String(items.attempt[number]));
  line("call", items.call[number] + ", " + call.kind + " of " + call.name);
  line("in", whereOf(model, number));
}

function start() {
  const data = JSON.parse(get("data").textContent);
  const model = new Model(data), canvas = document.querySelector("canvas"), tip = get("tip");
  const view = new View(model, canvas);
  let asked = false, held = null;
  const draw = () => {
    asked = false;
    const before = performance.now();
    view.draw();
    Object.assign(root.dataset, { frame: (performance.now() - before).toFixed(2), bars: view.bars,
      filled: view.filledLanes, lanes: model.lanes.length, items: model.items.count });
  };
  const redraw = () => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };
  const show = number => {
    view.showItem(number);
    redraw();
  };
  const fit = () => {
    view.resize();
    draw();
  };
  const hideTip = () => { tip.style.display = "none"; };
  const hover = event => {
    const number = view.itemAt(event.offsetX, event.offsetY);
    if (number < 0) return hideTip();
    fillTip(model, number);
    tip.style.display = "block";
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    const below = event.clientY + 16;
    tip.style.top = (below + tip.offsetHeight < innerHeight ? below
      : Math.max(4, event.clientY - tip.offsetHeight - 10)) + "px";
  };
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 400 : 1;
    hideTip();
    if (event.shiftKey) view.scroll += (event.deltaY || event.deltaX) * pixels;
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.pan(event.deltaX * pixels);
    else view.zoom(Math.pow(ZOOM, event.deltaY * pixels / 100), event.offsetX);
    redraw();
  }, { passive: false });
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { x: (a.x + b.x) / 2, width: Math.max(10, Math.abs(a.x - b.x)) };
  };
  canvas.addEventListener("pointerdown", event => {
    fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("held");
    held = fingers.size === 2 ? spread() : null;
    if (fingers.size === 1) hover(event);
  });
  canvas.addEventListener("pointermove", event => {
    const last = fingers.get(event.pointerId);
    if (!last) return hover(event);
    const dx = event.offsetX - last.x, dy = event.offsetY - last.y;
    if (dx === 0 && dy === 0) return undefined;
    fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    hideTip();
    if (held && fingers.size === 2) {
      const now = spread();
      view.zoom(held.width / now.width, now.x);
      view.pan(held.x - now.x);
      held = now;
    } else {
      view.pan(-dx);
      view.scroll -= dy;
    }
    return redraw();
  });
  const release = event => {
    fingers.delete(event.pointerId);
    canvas.classList.toggle("held", fingers.size > 0);
    held = null;
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", hideTip);
  const all = () => {
    view.showAll();
    view.scroll = 0;
    redraw();
  };
  canvas.addEventListener("dblclick", all);
  const middle = () => LEFT + view.plot / 2;
  const keys = {
    "+": () => view.zoom(1 / ZOOM, middle()), "=": () => view.zoom(1 / ZOOM, middle()),
    "-": () => view.zoom(ZOOM, middle()), "0": all, Home: all,
    ArrowLeft: () => view.pan(-view.plot / 8), ArrowRight: () => view.pan(view.plot / 8),
    ArrowUp: () => { view.scroll -= view.laneHeight; },
    ArrowDown: () => { view.scroll += view.laneHeight; },
  };
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    hideTip();
    keys[event.key]();
    redraw();
  });
  writeHead(model);
  writeSlowest(model, show);
  new ResizeObserver(fit).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fit);
  fit();
  if (location.hash === "#measure") measure(view, draw);
}

// How long frames take, from all down to a microsecond and back; for whoever asks for it.
function measure(view, draw) {
  const times = [];
  for (let i = 0; i < 80; i++) {
    const before = performance.now();
    view.zoom(i < 40 ? 1 / ZOOM : ZOOM, LEFT + view.plot * 0.4);
    draw();
    view.context.getImageData(0, 0, 1, 1);
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  root.dataset.measure = times[40].toFixed(2) + " " + times[79].toFixed(2);
}

start();
]==]
